"""How simulated controllers judge a document: as the real one, but each document once in a process.

A thousand boxes have a thousand processors; a thousand simulated ones share the machine that is being measured.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from hallctl.config import LoadedHall, parse_hall
from hallctl.link.configuration import document_hash
from hallctl.twin.documents import judge

REMEMBERED = 64
_known: OrderedDict[str, LoadedHall] = OrderedDict()


def judged_once(document: Mapping[str, Any], path: str) -> LoadedHall:
    """What of a document can run; the same one is looked at once."""
    key = document_hash(document)
    hall = _known.get(key)
    if hall is None:
        hall = judge(document, path)
        _known[key] = hall
        if len(_known) > REMEMBERED:
            _known.popitem(last=False)
    return hall


def refusing(document: Mapping[str, Any], path: str) -> LoadedHall:
    """A box of an older release: it knows nothing of a part of the document, and refuses the whole."""
    return parse_hall({**document, "part-of-a-newer-release": {}}, path)
