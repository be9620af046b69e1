"""What a port knows of its line: real where there is a UART, empty on a pty, and never in the way of closing."""

import asyncio
import fcntl
import struct

from hallctl.clock import SystemClock
from hallctl.driver import on_pty
from hallctl.transport import PortAddress, open_port, uart
from hallctl.transport.uart import UartState, read_uart


def test_modem_lines_and_counters_are_read_from_the_places_that_linux_has_them_at(monkeypatch):
    answers = {uart.termios.TIOCMGET: struct.pack("I", uart.termios.TIOCM_CTS | uart.termios.TIOCM_CAR)}
    answers[uart.TIOCGICOUNT] = struct.pack("20i", 0, 0, 0, 0, 100, 90, 7, 1, 3, 2, *[0] * 10)
    monkeypatch.setattr(fcntl, "ioctl", lambda _fd, request, _room: answers[request])
    found = read_uart(3)
    assert found.modem == {"CTS": True, "DSR": False, "CD": True, "RI": False}
    assert found.errors == {"frame": 7, "overrun": 1, "parity": 3, "break": 2}


async def test_a_pty_has_neither_and_a_closed_port_says_nothing():
    async with on_pty([]) as path:
        port = await open_port(PortAddress.parse(f"serial://{path}"), SystemClock())
        assert await asyncio.to_thread(port.uart) == UartState()
        await port.close()
        assert port.uart() == UartState()
