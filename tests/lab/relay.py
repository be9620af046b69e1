"""Joins its own input and output with a TCP port of this machine: qemu starts one for each connection of the guest."""

import socket
import sys
import threading


def upwards(peer: socket.socket) -> None:
    """What the guest says, to the broker."""
    while data := sys.stdin.buffer.raw.read(65536):  # type: ignore[attr-defined]  # standard input is a plain file
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


def main() -> None:
    """Until either side has had enough."""
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer:
        threading.Thread(target=upwards, args=(peer,), daemon=True).start()
        while data := peer.recv(65536):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
