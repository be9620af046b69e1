"""The edge daemon as a process: configuration, signals, systemd's notify and watchdog, exit codes.

Exit codes: 0 stopped as asked, 1 failed while running, 75 the state directory can't be used now (try again),
78 the configuration can't be used (sysexits.h: EX_TEMPFAIL, EX_CONFIG).
"""

import asyncio
import signal
import sys
from pathlib import Path

import structlog

from hallctl import logs
from hallctl.clock import Clock, SystemClock
from hallctl.config import ConfigErrors, load_controller, load_hall
from hallctl.controller import Controller
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError, OutboxError
from hallctl.pulse import Pulse, notify

EX_OK, EX_FAILED, EX_TEMPFAIL, EX_CONFIG = 0, 1, 75, 78


def run(config_path: Path) -> int:
    """Run the controller that ``config_path`` describes until SIGTERM or SIGINT; gives the exit code."""
    try:
        config = load_controller(config_path)
        logs.configure(config.log_level)
        hall = check_hall(load_hall(config.hall))
        hall.raise_if_fatal()
    except (ConfigErrors, ConfigError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return EX_CONFIG
    clock = SystemClock(trust_wall_clock=config.trust_clock)
    clock.synchronised()  # where systemd has to be asked, its answer is there when the first command comes
    try:
        controller = Controller.build(config, hall, clock)
    except ConfigError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return EX_CONFIG
    except (OSError, OutboxError) as exc:
        print(f"error: the state directory {config.state_dir} can't be used: {exc}", file=sys.stderr)
        return EX_TEMPFAIL
    return asyncio.run(_serve(controller, clock))


async def _serve(controller: Controller, clock: Clock) -> int:
    log = structlog.get_logger()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pulse = asyncio.create_task(Pulse(controller.examine, clock).run())
    try:
        await controller.run(stop, ready=lambda: notify("READY=1"))
    except ExceptionGroup as group:
        hint = "the daemon stops, so that nothing goes unrecorded; systemd starts it again"
        log.error(
            "a part of the daemon failed", errors=[repr(exc) for exc in group.exceptions], hint=hint, exc_info=True
        )
        return EX_FAILED
    finally:
        pulse.cancel()
        await asyncio.gather(pulse, return_exceptions=True)
        notify("STOPPING=1")
    return EX_OK
