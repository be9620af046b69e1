"""Names and codes of the keys that keyboards and numeric pads have, as in linux/input-event-codes.h."""

from collections.abc import Mapping

_ROWS = (
    (1, "ESC 1 2 3 4 5 6 7 8 9 0 MINUS EQUAL BACKSPACE TAB"),
    (16, "Q W E R T Y U I O P LEFTBRACE RIGHTBRACE ENTER LEFTCTRL"),
    (30, "A S D F G H J K L SEMICOLON APOSTROPHE GRAVE LEFTSHIFT BACKSLASH"),
    (44, "Z X C V B N M COMMA DOT SLASH RIGHTSHIFT KPASTERISK LEFTALT SPACE CAPSLOCK"),
    (59, "F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NUMLOCK SCROLLLOCK"),
    (71, "KP7 KP8 KP9 KPMINUS KP4 KP5 KP6 KPPLUS KP1 KP2 KP3 KP0 KPDOT"),
    (86, "102ND F11 F12"),
    (96, "KPENTER RIGHTCTRL KPSLASH SYSRQ RIGHTALT"),
    (102, "HOME UP PAGEUP LEFT RIGHT END DOWN PAGEDOWN INSERT DELETE"),
    (113, "MUTE VOLUMEDOWN VOLUMEUP"),
    (117, "KPEQUAL KPPLUSMINUS PAUSE"),
    (121, "KPCOMMA"),
    (125, "LEFTMETA RIGHTMETA COMPOSE STOP"),
    (139, "MENU CALC"),
    (158, "BACK FORWARD"),
    (163, "NEXTSONG PLAYPAUSE PREVIOUSSONG STOPCD"),
    (172, "HOMEPAGE REFRESH"),
    (179, "KPLEFTPAREN KPRIGHTPAREN"),
    (183, "F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23 F24"),
)

CODES: Mapping[str, int] = {
    f"KEY_{name}": first + place for first, names in _ROWS for place, name in enumerate(names.split())
}
NAMES: Mapping[int, str] = {code: name for name, code in CODES.items()}
DIGITS: Mapping[str, str] = {f"KEY_{prefix}{digit}": str(digit) for prefix in ("", "KP") for digit in range(10)}
