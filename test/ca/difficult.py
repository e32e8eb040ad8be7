#!/usr/bin/python3
"""A difficult CA: an ACME server (RFC 8555, 8737, 8738, 9773, profiles) for tests, strict in what it accepts
and with switches for all that can go wrong (switches.py). On loopback only.

It prints one line of JSON {"directory", "control", "root", "issuers"} once it listens, and ends by SIGTERM.
root: PEM of what its HTTPS is to be trusted by; issuers: PEM of all roots of what it issues. By control:

	POST /switch {name: value}   POST /reset       GET /switch
	POST /time {"offset": s}     GET /time         the CA's clock is the machine's and this many seconds
	GET /requests                POST /requests    counted per endpoint; from now on anew
	GET /issued  GET /accounts   GET /root
	POST /revoke {"name": NAME}  GET /crl  POST /ocsp   what certificates name by switch `revocation`
"""
import argparse
import json
import pathlib
import signal
import sys
import tempfile
import time

import web
from ca import CA
from issuing import Keys, pem
from resolve import Resolver
from validate import Prover


def place(text):
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "[::1]", "localhost"):
        raise argparse.ArgumentTypeError(f"{text}: only loopback")
    return host.strip("[]"), int(port)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--listen", type=place, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--http-port", type=int, default=80, help="where port 80 is, for validation")
    parser.add_argument("--tls-port", type=int, default=443, help="where port 443 is")
    parser.add_argument("--dns", type=place, metavar="ADDRESS:PORT", help="the server for DNS questions")
    parser.add_argument("--address", help="the address of every name; 127.0.0.1 unless --dns is given")
    parser.add_argument("--folder", type=pathlib.Path, help="for the PEM files; else one is made")
    parser.add_argument("--offset", type=float, default=0.0, help="the clock at start, in seconds")
    return parser.parse_args()


def main():
    given = arguments()
    address = given.address or (None if given.dns else "127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="difficult-ca-") as scratch:
        folder = given.folder or pathlib.Path(scratch)
        prover = Prover(Resolver(given.dns, address), {80: given.http_port, 443: given.tls_port},
                        "difficult.test")
        keys = Keys(time.time() + given.offset)
        ca = CA(keys, prover)
        ca.books.clock.offset = given.offset
        listener = web.Listener(ca, *given.listen, web.contexts_of(keys, folder, time.time()))
        ca.base = f"https://{given.listen[0]}:{listener.place[1]}"
        (folder / "root.pem").write_bytes(pem(keys.root.certificate))
        (folder / "issuers.pem").write_bytes(b"".join(pem(r.certificate) for r in keys.roots))
        ca.control = web.start_control(ca, listener, given.listen[0])
        print(json.dumps({"directory": f"{ca.base}/directory", "control": ca.control,
                          "root": str(folder / "root.pem"), "issuers": str(folder / "issuers.pem")}),
              flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    sys.exit(main())
