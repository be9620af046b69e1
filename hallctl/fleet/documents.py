"""What is pushed: a hall.yaml for all, one for each controller, or a merge patch onto what each one runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hallctl.config import ConfigErrors, HallDocument, LoadedHall, Problem, parse_hall
from hallctl.config.loading import hall_of
from hallctl.config.source import read
from hallctl.config.tree import MapNode, Node, value_of
from hallctl.config.validate import validate
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError
from hallctl.link.configuration import MAX_DESIRED_BYTES, canonical
from hallctl.link.topics import Topics

Document = dict[str, Any]
ROOM = 2048  # what stands around a document in config/desired


@dataclass(frozen=True, slots=True)
class Checked:
    """A document and what is wrong with it. ``version``: the one that its file names, 0: none."""

    document: Document
    hall: LoadedHall
    version: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in FILE. ``whole``: for all; ``each``: for these; ``patch``: onto each one's own (RFC 7396)."""

    name: str
    whole: Checked | None = None
    each: Mapping[Topics, Checked] = field(default_factory=dict)
    patch: Document | None = None


def read_source(path: Path, *, merge: bool) -> Source:
    """Read a file or a folder of SITE/CONTROLLER.yaml. Raises ``ConfigErrors`` for what no controller could run."""
    if path.is_dir():
        return Source(path.name, each=_read_folder(path))
    if merge:
        return Source(path.name, patch=_read_patch(path))
    return Source(path.name, whole=check_file(path))


def check_file(path: Path) -> Checked:
    """A hall document with the words of `hallctl check`. Raises ``ConfigErrors`` when it is fatally wrong."""
    root = _tree(path)
    hall = check_hall(hall_of(root, str(path)))
    hall.raise_if_fatal()
    value = _plain(root)
    validate(HallDocument, value, root, str(path))  # puts back what was written where a text is meant (1.10, on)
    for loc, terminal in hall.terminals():
        if terminal.options:
            value["terminals"][loc[1]]["options"] = json.loads(json.dumps(dict(terminal.options), default=str))
    version = value.pop("version", 0)
    _require_size(value, str(path))
    return Checked(value, hall, version if isinstance(version, int) else 0)


def check_value(value: Document, name: str) -> Checked:
    """A document that was put together here. Raises ``ConfigErrors`` when it is fatally wrong."""
    hall = check_hall(parse_hall(value, name))
    hall.raise_if_fatal()
    document = {key: item for key, item in value.items() if key != "version"}
    _require_size(document, name)
    return Checked(document, hall)


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: keys of the patch replace the target's, ``null`` takes them away; lists are replaced whole."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def refused(checked: Checked) -> list[Problem]:
    """Mistakes for which a document is not pushed. A driver that only this desk lacks is none: the box decides."""
    return [problem for problem in checked.hall.problems if problem.code != "driver"]


def _read_folder(folder: Path) -> dict[Topics, Checked]:
    files = sorted(path for pattern in ("*/*.yaml", "*/*.yml") for path in folder.glob(pattern))
    if not files:
        hint = "lay one document a controller into it: SITE/CONTROLLER.yaml"
        raise ConfigErrors([Problem("there are no documents in it", path=str(folder), code="absent", hint=hint)])
    found: dict[Topics, Checked] = {}
    errors: list[ConfigError] = []
    for path in files:
        try:
            found[Topics(path.parent.name, path.stem)] = check_file(path)
        except ConfigErrors as exc:
            errors += exc.errors
    if errors:
        raise ConfigErrors(errors)
    return found


def _read_patch(path: Path) -> Document:
    patch = _plain(_tree(path))
    if not patch:
        raise ConfigErrors([Problem("the patch changes nothing", path=str(path), code="empty", hint="see RFC 7396")])
    return patch


def _tree(path: Path) -> Node:
    try:
        return read(path)
    except Problem as exc:
        raise ConfigErrors([exc]) from exc


def _plain(root: Node) -> Document:
    value = value_of(root, []) if isinstance(root, MapNode) else {}
    return value if isinstance(value, dict) else {}


def _require_size(value: Document, name: str) -> None:
    size = len(canonical(value))
    if size > MAX_DESIRED_BYTES - ROOM:
        message = f"the document has {size} bytes, the contract allows {MAX_DESIRED_BYTES - ROOM}"
        hint = "logos and photos belong into files beside hall.yaml, not into the document"
        raise ConfigErrors([Problem(message, path=name, code="size", fatal=True, hint=hint)])
