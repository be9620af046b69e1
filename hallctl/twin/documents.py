"""Hall documents as the twin handles them: judged, named, and what is wrong with them as the centre reads it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hallctl.config import LoadedHall, Problem, parse_hall
from hallctl.driver.hallcheck import check_hall
from hallctl.link.configuration import Mistake, document_hash
from hallctl.twin.record import Ref

TEXT = 300  # characters of a message or hint; the report as a whole has a limit of its own

Judge = Callable[[Mapping[str, Any], str], LoadedHall]
"""From a document and a name for it in messages to what of it can run."""


def judge(document: Mapping[str, Any], path: str) -> LoadedHall:
    """Everything that is known to be wrong before anything is touched, drivers and ports included."""
    return check_hall(parse_hall(dict(document), path))


def path_of(own: LoadedHall, ref: Ref) -> str:
    """How messages call a document of the centre. Its folder is hall.yaml's: photos and logos stand there."""
    return f"{own.path} (version {ref.version} of the centre)"


def document_of(hall: LoadedHall) -> dict[str, Any]:
    """The document of a hall.yaml, as JSON has it, with texts where texts were meant; empty when it is none."""
    return dict(hall.value)


def hash_of(hall: LoadedHall) -> str:
    """The hash of the document of a hall.yaml, as if the centre had pushed it; empty when JSON can't hold it."""
    try:
        return document_hash(document_of(hall))
    except ValueError:
        return ""


def mistakes_of(problems: Iterable[Problem]) -> list[Mistake]:
    """What is wrong with a document, as it is reported."""
    return [mistake(one.code, one.message, one.hint, one.pointer) for one in problems]


def mistake(code: str, message: str, hint: str = "", pointer: str = "") -> Mistake:
    """One mistake, its texts cut where they are too long for a report."""
    return Mistake(pointer=pointer, code=code, message=message[:TEXT], hint=hint[:TEXT])
