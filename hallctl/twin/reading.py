"""Documents on their way: what a message that can't be read claims to be, and a document in chunks; pure."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from hallctl.model import JsonObject
from hallctl.twin.record import NONE, Ref

CHUNK = 60_000  # bytes of document in one reply: 80 kB as base64, as of evidence


def claimed(payload: bytes) -> Ref:
    """Version and hash that stand in a desired message that can't be read otherwise, so that its sender knows."""
    try:
        found = json.loads(payload)
        version, hash_ = found.get("version"), found.get("hash")
    except (ValueError, AttributeError, RecursionError):
        return NONE
    right = isinstance(version, int) and not isinstance(version, bool) and 0 < version < 2**53
    return Ref(version if right else 0, hash_ if isinstance(hash_, str) and len(hash_) == 64 else "")


def chunk_of(document: Mapping[str, Any], offset: int) -> JsonObject:
    """A part of a document's JSON."""
    data = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    part = data[offset : offset + CHUNK]
    return {
        "offset": offset,
        "size": len(data),
        "data": base64.b64encode(part).decode("ascii"),
        "last": offset + len(part) >= len(data),
    }
