"""``python -m hallctl_demo``: see ``scripts/demo``."""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

from rich.console import Console
from rich.live import Live

from hallctl.clock import SystemClock
from hallctl_demo import document
from hallctl_demo.broker import RunningBroker, broker, stop
from hallctl_demo.centre import Centre
from hallctl_demo.devices import running_devices
from hallctl_demo.play import Day
from hallctl_demo.report import leave, summary
from hallctl_demo.screen import Screen


def main() -> int:
    """Parse, play, leave the results; 0 only if everything that should have happened did."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="A hall's day in a minute.")
    parser.add_argument("--once", action="store_true", help="play it through without a screen")
    parser.add_argument("--out", type=Path, help="folder for the results; default: demo-out with --once")
    parser.add_argument("--broker", choices=("mosquitto", "iotcore"), help="default: mosquitto where it is on PATH")
    parser.add_argument("--model", type=Path, required=True, help="detector model")
    parser.add_argument("--person", type=Path, required=True, help="picture of a person")
    arguments = parser.parse_args()
    out = arguments.out or (Path("demo-out") if arguments.once else None)
    with tempfile.TemporaryDirectory(prefix="hallctl-demo-") as folder:
        try:
            return asyncio.run(_until_told(_run(arguments, Path(folder), out)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            print("stopped; broker, daemon and devices are down", file=sys.stderr)
            return 130


async def _until_told(play: Coroutine[None, None, int]) -> int:
    """Stop everything that was started also when the terminal is closed or somebody kills the demo."""
    task = asyncio.ensure_future(play)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


async def _run(arguments: argparse.Namespace, folder: Path, out: Path | None) -> int:
    results = out or folder / "out"
    _empty(results)
    clock = SystemClock(trust_wall_clock=True)
    async with (
        broker(folder, arguments.broker) as running,
        running_devices(folder, arguments.person) as devices,
        Centre(running.port, clock, results / "events.jsonl") as centre,
    ):
        config = document.write(
            folder, broker_port=running.port, addresses=devices.addresses, model=arguments.model.absolute()
        )
        screen = Screen(centre, devices, running.name)
        day = Day(centre, devices, _teller(screen, once=arguments.once), pace_s=0.0 if arguments.once else 3.0)
        async with _shown(screen, once=arguments.once):
            exit_code = await _daemon_day(config, results, day)
            await asyncio.sleep(0.5)
        result = summary(day, centre, running.name, exit_code)
        await asyncio.to_thread(leave, results, devices, day, result)
    _tell_result(result, results if out else None, running)
    if out is None and not result["ok"]:
        shutil.copytree(results, "demo-failed", dirs_exist_ok=True)
    return 0 if result["ok"] else 1


async def _daemon_day(config: Path, results: Path, day: Day) -> int:
    """Run the real daemon for the length of the day; gives its exit code."""
    with (results / "daemon.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hallctl.cli.main",
            "run",
            str(config),
            stdout=log,
            stderr=log,
            stdin=asyncio.subprocess.DEVNULL,
        )
    day.started = time.monotonic()
    try:
        await day.play()
        day.numbers |= _memory(process.pid)
    finally:
        code = await stop(process, 40)
    # The last heartbeat is the daemon's own death: with it everything that was committed has been delivered.
    with contextlib.suppress(Exception):
        await day.centre.until(lambda: day.centre.events("controller.stopped"), "the daemon says good-bye", 10)
    return code


def _memory(pid: int) -> dict[str, float]:
    """Resident memory of the daemon and of its camera process, MiB (Linux: /proc/PID/status)."""
    numbers = {"daemon_rss_mib": _rss_mib(pid)}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"hallctl.camera" in Path(f"/proc/{child}/cmdline").read_bytes():
            numbers["camera_rss_mib"] = _rss_mib(int(child))
    return numbers


def _rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return round(int(kib) / 1024, 1)


def _teller(screen: Screen, *, once: bool) -> Callable[[str], None]:
    if once:
        return lambda line: print(line, flush=True)
    return screen.say


@contextlib.asynccontextmanager
async def _shown(screen: Screen, *, once: bool) -> AsyncIterator[None]:
    if once:
        yield
        return
    with Live(screen, console=Console(), refresh_per_second=5, screen=True):
        yield


def _empty(folder: Path) -> None:
    for name in ("tickets", "displays", "alert"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _tell_result(result: dict[str, object], out: Path | None, running: RunningBroker) -> None:
    scenes = result["scenes"]
    assert isinstance(scenes, list)
    for scene in scenes:
        print(f"{'ok  ' if scene['ok'] else 'FAIL'} {scene['scene']}{': ' + scene['why'] if scene['why'] else ''}")
    events = result["events"]
    assert isinstance(events, dict)
    for kind, one in events.items():
        if not one["ok"]:
            print(f"FAIL event {kind}: expected {one['expected']}, seen {one['seen']}")
    print(f"broker {running.name}; calls to the wire {result['call_to_wire_ms']} ms; {result['numbers']}")
    if out is not None:
        print(f"results in {out}{os.sep}")


if __name__ == "__main__":
    sys.exit(main())
