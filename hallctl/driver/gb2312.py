"""GB2312 as LED cards store it: what their fonts have, and which character they lack, by name."""

from hallctl.errors import LocalCodecError, RemoteCodecError

# Python's codec follows the Unicode consortium's old table for these two; keyboards and GBK write the others.
_TO_TABLE = str.maketrans({"·": "\u30fb", "—": "\u2015"})
_FROM_TABLE = str.maketrans({"\u30fb": "·", "\u2015": "—"})
_FIRST_PRINTABLE = 0x20


def to_gb2312(text: str) -> bytes:
    """Encode what is to be shown. Raises ``LocalCodecError`` naming the first character that cards lack."""
    for character in text:
        if ord(character) < _FIRST_PRINTABLE or character == "\x7f":
            raise _lacking(character, "control characters can't be shown; write each line by itself")
    try:
        return text.translate(_TO_TABLE).encode("gb2312")
    except UnicodeEncodeError as exc:
        raise _lacking(text[exc.start], "the display knows GB2312 only: replace the character in the text") from exc


def from_gb2312(data: bytes) -> str:
    """Decode what a card was sent. Raises ``RemoteCodecError`` for bytes outside GB2312, and for control characters."""
    if any(byte < _FIRST_PRINTABLE or byte == 0x7F for byte in data):
        raise RemoteCodecError(f"control characters in a text: {data[:16].hex(' ')}")
    try:
        return data.decode("gb2312").translate(_FROM_TABLE)
    except UnicodeDecodeError as exc:
        raise RemoteCodecError(f"not GB2312: {data[exc.start : exc.end].hex(' ')} at byte {exc.start}") from exc


def _lacking(character: str, hint: str) -> LocalCodecError:
    return LocalCodecError(f"the display can't show {character!r} (U+{ord(character):04X})", hint=hint)
