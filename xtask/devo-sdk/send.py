"""Measures Devo's public Python package as a sender, for `cargo x bench ship`.

    python send.py HOST PORT EVENTS COUNT LEVEL [KEY CERT CHAIN]

Sends the lines of EVENTS, each as one event, again and again until COUNT have gone; over TLS where the files are given.
LEVEL is that of gzip, `none` for none. Prints the seconds that sending took and the processor time of this process.
"""

import ssl
import sys
import time

from devo.sender import Sender, SenderConfigSSL, SenderConfigTCP

TAG = "edr.microsoft_defender.endpoint.alerts"


def main(host, port, events, count, level, key=None, cert=None, chain=None):
    address = (host, int(port))
    # OpenSSL takes the authority of the tests, which bears its server's name, for the server itself; so nothing is verified.
    lax = {"verify_mode": ssl.CERT_NONE, "check_hostname": False}
    tls = SenderConfigSSL(address=address, key=key, cert=cert, chain=chain, **lax) if key else None
    sender = Sender(tls or SenderConfigTCP(address=address))
    packed = level != "none"
    if packed:
        sender.compression_level(int(level))
    with open(events, encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n") for line in file]
    if packed:
        # The package packs octets alone.
        lines, tag = [line.encode() for line in lines], TAG.encode()
    else:
        tag = TAG
    wall, used = time.perf_counter(), time.process_time()
    for number in range(int(count)):
        sender.send(tag, lines[number % len(lines)], zip=packed)
    if packed:
        sender.flush_buffer()
    sender.close()
    print(time.perf_counter() - wall, time.process_time() - used)


main(*sys.argv[1:])
