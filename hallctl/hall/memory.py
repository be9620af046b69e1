"""What a hall knows at a moment, as JSON: kept on disk, so that a restart of the daemon loses no called number."""

from datetime import datetime
from typing import Any

from hallctl.hall.message import Colour, DisplayKind, DisplayMessage
from hallctl.hall.window import OpenEvaluation, Window
from hallctl.model import JsonObject, WindowState


def remember_window(window: Window) -> JsonObject:
    """A window's state without its configuration."""
    asked = window.evaluation
    return {
        "state": window.state.value,
        "ticket": window.ticket,
        "waiting": window.waiting,
        "asked": {"ticket": asked.ticket, "at": asked.asked_at.isoformat(), "id": asked.id} if asked else None,
    }


def recall_window(window: Window, saved: JsonObject) -> Window:
    """The window as it was; a call that blinked stands. Raises ``ValueError`` or ``KeyError`` for what is no memory."""
    asked = saved["asked"]
    evaluation = OpenEvaluation(asked["ticket"], datetime.fromisoformat(asked["at"]), asked["id"]) if asked else None
    return Window(window.config, WindowState(saved["state"]), saved["ticket"], evaluation, waiting=saved["waiting"])


def remember_text(message: DisplayMessage) -> JsonObject:
    """A text that was put on a display by hand."""
    return {"text": list(message.lines), "colour": message.colour.value, "blink": message.blink}


def recall_text(saved: dict[str, Any]) -> DisplayMessage:
    """The same text again."""
    lines = tuple(str(line) for line in saved["text"])
    return DisplayMessage(DisplayKind.TEXT, lines, colour=Colour(saved["colour"]), blink=bool(saved["blink"]))
