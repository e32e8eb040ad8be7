/* Included before every file: calls that have no place here do not compile. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* Where the C library makes them macros, as it does to check them. */
#undef alloca
#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#undef strncat
#undef strncpy
#pragma GCC poison strcpy strcat strncat strncpy sprintf vsprintf strtok strtok_r gets
#pragma GCC poison atoi atol atof asctime ctime gmtime localtime
#pragma GCC poison alloca sleep usleep system popen

#endif
