"""Keyboards that are pads and keypads, through the kernel's input layer and udev's names."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from hallctl_drivers.keyboard import KEYPAD

from hallctl.config.hall import Terminal
from hallctl.controller.parts import connect_to, supervise
from hallctl.driver import Key, KeyPressed, TerminalContext
from hallctl.errors import TransportUnavailable
from hallctl.transport import PortAddress, Tap
from usb_lab.bench import CLOCK, Log, Watched, case, opened, seen, until
from usb_lab.keyboard import KeyboardGadget


@contextlib.asynccontextmanager
async def keypad(gadget: KeyboardGadget) -> AsyncIterator[tuple[Watched, list[Any]]]:
    """A keypad as the controller runs it, and what it has said."""
    said: list[Any] = []

    async def emit(signal: Any) -> None:
        said.append(signal)

    async def note(_old: Any, new: Any) -> None:
        watched.history.append(new)

    terminal = Terminal(id="keypad-1", driver="keyboard-keypad", port=gadget.url)
    driver = KEYPAD.make(TerminalContext("keypad-1", CLOCK, Log(), emit), KEYPAD.options())
    connect, _line = connect_to(terminal, KEYPAD, {}, CLOCK, Tap(terminal.id, CLOCK))
    wiring = {"buses": {}, "clock": CLOCK, "log": Log(), "on_state": note, "waiting_limit": 4}
    watched = Watched(supervise(terminal, driver, connect, **wiring))
    task = asyncio.create_task(watched.supervisor.run())
    try:
        yield watched, said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@case("input: keys of a USB keyboard are a keypad's, by the name that udev gives it")
async def keys_are_heard() -> None:
    async with KeyboardGadget() as gadget:
        await gadget.plug()
        await seen(gadget.url)
        async with keypad(gadget) as (terminal, said):
            await terminal.online()
            await gadget.press("KEY_1", "KEY_KP7", "KEY_KPENTER", "KEY_KPPLUS")
            await until("both keys are heard", lambda: len(said) == 2)
            assert said == [KeyPressed(Key.NEXT, "17"), KeyPressed(Key.RECALL)], said


def _opened_beside(path: str, found: list[int]) -> bool:
    """Open it without hallctl; until udev has renewed the name it leads to the keyboard of the case before."""
    with contextlib.suppress(OSError):
        found.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    return bool(found)


@case("input: who reads the keyboard beside the daemon hears nothing, and cannot take it")
async def keys_are_nobody_elses() -> None:
    async with KeyboardGadget() as gadget:
        await gadget.plug()
        await seen(gadget.url)
        path = PortAddress.parse(gadget.url).path
        found: list[int] = []
        await until("the name leads to the new device", lambda: found or _opened_beside(path, found))
        (other,) = found
        try:
            async with keypad(gadget) as (terminal, said):
                await terminal.online()
                await gadget.press("KEY_KPENTER")
                await until("the key is heard", lambda: said)
                with contextlib.suppress(BlockingIOError):
                    raise AssertionError(f"another one heard {os.read(other, 4096).hex()}")
                try:
                    await opened(gadget.url)
                except TransportUnavailable as exc:
                    assert exc.code == "port.busy", exc.code  # there is no pytest in the guest
                else:
                    raise AssertionError("it was grabbed twice")
            await gadget.press("KEY_5")  # the daemon has gone: others may have it again
            await until("the other one hears", lambda: _read(other))
        finally:
            os.close(other)


@case("input: an unplugged keyboard is offline with its port's reason, and works again after the replug, in any socket")
async def keyboard_comes_back() -> None:
    async with KeyboardGadget() as gadget, keypad(gadget) as (terminal, said):
        await terminal.offline()
        for number, socket in enumerate((0, 1, 0), 1):
            await gadget.plug(socket)
            await terminal.online()
            await gadget.press("KEY_KPENTER")
            await until("the key is heard", lambda number=number: len(said) == number)
            await gadget.unplug()
            await terminal.offline()
        assert {state.reason for state in terminal.history if state.reason} <= {"port.lost", "port.absent"}


@case("input: two keyboards of one kind are told apart by their names")
async def two_keyboards() -> None:
    async with KeyboardGadget("PAD0001") as first, KeyboardGadget("PAD0002") as second:
        await second.plug(0)
        await first.plug(1)
        async with keypad(first) as (one, said_one), keypad(second) as (two, said_two):
            await one.online()
            await two.online()
            await first.press("KEY_KPENTER")
            await second.press("KEY_KPPLUS")
            await until("both are heard", lambda: said_one and said_two)
            assert (said_one, said_two) == ([KeyPressed(Key.NEXT)], [KeyPressed(Key.RECALL)])


def _read(descriptor: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, 4096)
    return b""
