"""What is wrong with the lab's bad release: ``broken.py`` puts this file into its wheel, as ``hallctl.lab_mood``.

A file on the box says which fault it has. Whatever the fault, this release adds a column to the event log, as a real
one may: the release before it has to go on with that log.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from hallctl import daemon
from hallctl.config.controller import ControllerConfig
from hallctl.outbox import schema
from hallctl.pulse import notify
from hallctl.transport.usb_names import UsbName

MOOD_FILE = "/var/lib/hallctl/lab-mood"
_LOOK_S = 0.2


def put_on() -> None:
    """Take the fault on; called before a command line is read."""
    mood = Path(MOOD_FILE)
    word = mood.read_text(encoding="utf-8").strip() if mood.exists() else ""
    _add_to_the_log()
    if word == "forgets a key":
        del ControllerConfig.model_fields["heartbeat_s"]
        ControllerConfig.model_rebuild(force=True)
    if sys.argv[1:2] == ["run"]:
        _spoil_the_daemon(word)


def _spoil_the_daemon(word: str) -> None:
    match word:
        case "falls":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "crashes":
            _strike_once_ready(signal.SIGSEGV)
        case "hangs":
            _strike_once_ready(signal.SIGSTOP)
        case "never ready":
            setattr(daemon, "notify", _never_ready)  # noqa: B010  # mypy knows it as a function of its module
        case "loses":
            setattr(UsbName, "matches", lambda _self, _found: False)  # noqa: B010  # the same


def _strike_once_ready(number: signal.Signals) -> None:
    threading.Thread(target=_once_ready, args=(number,), daemon=True).start()


def _once_ready(number: signal.Signals) -> None:
    health = Path("/run/hallctl/health.json")
    while not (health.exists() and '"ready": true' in health.read_text(encoding="utf-8")):
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), number)


def _never_ready(message: str) -> None:
    if not message.startswith("READY="):
        notify(message)


def _add_to_the_log() -> None:
    schema._STEPS[schema.LAYOUT] = "ALTER TABLE commands ADD COLUMN lab TEXT NOT NULL DEFAULT '';"
    schema.LAYOUT += 1
