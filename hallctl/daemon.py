"""The edge daemon as a process: configuration, signals, systemd's notify and watchdog, exit codes.

Exit codes: 0 stopped as asked, 1 failed while running, 75 the state directory can't be used now (try again),
78 the configuration can't be used (sysexits.h: EX_TEMPFAIL, EX_CONFIG).
"""

import asyncio
import signal
import sys
from pathlib import Path

import structlog

from hallctl import logs, statedir
from hallctl.clock import Clock, SystemClock
from hallctl.config import ConfigErrors, ControllerConfig, load_controller, load_hall
from hallctl.controller import Controller
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError, OutboxError, StateDirError, TwinError
from hallctl.pulse import Pulse, notify
from hallctl.twin import TWIN_FOLDER, Beginning, Checkpoint, TwinStore, begin, no_checkpoint

EX_OK, EX_FAILED, EX_TEMPFAIL, EX_CONFIG = 0, 1, 75, 78


def run(config_path: Path, checkpoint: Checkpoint = no_checkpoint) -> int:
    """Run the controller that ``config_path`` describes until SIGTERM or SIGINT; gives the exit code.

    ``checkpoint`` is called at every step of a change of the hall document; tests end the process there.
    """
    try:
        config = load_controller(config_path)
        logs.configure(config.log_level)
        clock = SystemClock(trust_wall_clock=config.trust_clock)
        clock.synchronised()  # where systemd has to be asked, its answer is there when the first command comes
        statedir.take(config.state_dir)
        store = TwinStore(config.state_dir / TWIN_FOLDER, checkpoint)
        beginning = _begin(config, store, clock)
        controller = Controller.build(config, beginning, store, clock)
    except (ConfigErrors, ConfigError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return EX_CONFIG
    except (OSError, OutboxError, StateDirError, TwinError) as exc:
        print(f"error: the state directory {config.state_dir} can't be used: {exc}", file=sys.stderr)
        return EX_TEMPFAIL
    return asyncio.run(_serve(controller, clock))


def _begin(config: ControllerConfig, store: TwinStore, clock: Clock) -> Beginning:
    """Which hall document runs. Raises ``ConfigErrors`` when that is hall.yaml, and nothing of it can run."""
    log = structlog.get_logger()
    beginning = begin(store, check_hall(load_hall(config.hall)), clock)
    for trouble in beginning.troubles:
        log.warning("the centre's document can't be used", code=trouble.code, why=trouble.message, hint=trouble.hint)
    runs = beginning.record.runs
    if not runs.version:
        beginning.own.raise_if_fatal()
        return beginning
    trial = beginning.record.trial
    log.info("runs the centre's document", version=runs.version, hash=runs.hash[:12], trial_boots=trial and trial.boots)
    if beginning.own.fatal:
        log.warning("hall.yaml is wrong, and nothing to go back to", why=str(beginning.own.problems[0]))
    return beginning


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
