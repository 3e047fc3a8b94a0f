"""Records what Devo's public Python package puts on the wire for events, so that a test can hold ours against it.

    python3 -m venv venv && venv/bin/pip install devo-sdk==7.0.2
    venv/bin/python xtask/devo-sdk/record.py DATE TAG HOST EVENTS.ndjson OCTETS

Every line of EVENTS is sent as a text over plain TCP to a listener in this process; OCTETS gets what arrived.
DATE is what the caller of the package gives it: without one it writes the same first of January every time.
"""

import socket
import sys
import threading

from devo.sender import Sender, SenderConfigTCP


def main(date, tag, host, events, octets):
    listener = socket.create_server(("127.0.0.1", 0))
    arrived = bytearray()

    def receive():
        connection, _ = listener.accept()
        while part := connection.recv(65536):
            arrived.extend(part)

    receiver = threading.Thread(target=receive)
    receiver.start()
    address, port = listener.getsockname()
    sender = Sender(SenderConfigTCP(address=(address, port)))
    with open(events, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            sender.send(tag, line.rstrip("\n"), hostname=host, date=date)
    sender.close()
    receiver.join()
    with open(octets, "wb") as file:
        file.write(arrived)


main(*sys.argv[1:])
