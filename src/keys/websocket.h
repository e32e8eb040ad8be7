/* The key of a WebSocket's handshake and what answers it (RFC 6455 4.1, 4.2.2): no secrets, but a
 * proof that both sides mean a WebSocket. */
#ifndef KEYS_WEBSOCKET_H
#define KEYS_WEBSOCKET_H

#include "base/str.h"

enum { WEBSOCKET_KEY = 24, WEBSOCKET_ACCEPT = 28 }; /* characters of base64 */

void websocket_key(char ret_key[WEBSOCKET_KEY + 1]);
void websocket_accept(struct str key, char ret_accept[WEBSOCKET_ACCEPT + 1]);

#endif
