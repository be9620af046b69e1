"""Obeys the host over the second serial port: ``{"id": 3, "do": "run", "argv": [...]}``, one JSON object a line.

Every order runs in a task of its own, so a ticket can be printed while its printer is unplugged. Whatever goes wrong is
an answer. What the devices print is told unasked, so that the host still knows it after a power cut.
"""

import asyncio
import contextlib
import json
import os
import sys
import tty
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lab.inside.devices import Devices

PORT = Path("/dev/ttyS1")
_OUTPUT = 200_000  # characters of a command's output that the host gets: the last ones


class Agent:
    """Reads orders, carries them out, answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._devices = Devices(self.tell)
        self._orders: dict[str, Callable[..., Awaitable[Any]]] = {
            "run": run,
            "write": write,
            "device": self._devices.obey,
        }
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, **message: object) -> None:
        """One line for the host."""
        line = json.dumps(message, ensure_ascii=True).encode() + b"\n"
        while line:
            try:
                line = line[os.write(self._port, line) :]
            except BlockingIOError:
                os.set_blocking(self._port, True)

    async def serve(self) -> None:
        """Until the machine stops."""
        reader = asyncio.StreamReader(limit=2**24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(self._port), "rb", 0)
        )
        try:
            await self._devices.make()
        except (OSError, RuntimeError) as exc:
            self.tell(broken=f"the devices can't be made: {exc}")
            return
        self.tell(hello=Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        while line := await reader.readline():
            with contextlib.suppress(ValueError):
                task = asyncio.create_task(self._obey(json.loads(line)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _obey(self, order: dict[str, Any]) -> None:
        number, what = order.pop("id"), order.pop("do")
        try:
            self.tell(id=number, answer=await self._orders[what](**order))
        except Exception as exc:  # noqa: BLE001  # whatever it is, the host has to hear of it
            self.tell(id=number, error=f"{type(exc).__name__}: {exc}")


async def run(argv: list[str], stdin: str = "") -> dict[str, Any]:
    """Run a command to its end, as root. It sees nothing of the hallctl that the agent itself runs on."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    )
    out, _ = await process.communicate(stdin.encode())
    return {"code": process.returncode, "out": out.decode(errors="replace")[-_OUTPUT:]}


async def write(path: str, text: str, mode: int = 0o644, owner: str = "") -> None:
    """Put a file there, whole and on disk."""
    aside = Path(f"{path}.lab")
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.write_text(text, encoding="utf-8")
    aside.chmod(mode)
    if owner:
        await run(["chown", owner, str(aside)])
    await run(["sync", str(aside)])
    aside.replace(path)
    await run(["sync", str(aside.parent)])


async def main() -> None:
    """Take the port, and say hello."""
    port = os.open(PORT, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port)
    await Agent(port).serve()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
