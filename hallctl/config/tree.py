"""A YAML document as a tree that remembers lines and what was really written.

The tree is built from the parser's events and not by a recursive composer: a document may come from the network, and
deep nesting must end in a message, not in a stack overflow. Scalars keep their text, so that a staff number 0123, a
time 12:30 and a label ``on`` mean what they say: only plain decimal numbers, true, false and null are special.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hallctl.config.problem import Loc

MAX_DEPTH = 64
MAX_NODES = 500_000

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,8}\Z")
_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]+\Z")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. ``plain``: written without quotes, so that it may be a number."""

    line: int
    text: str
    plain: bool = True
    tag: str | None = None
    size: int = 1

    @property
    def empty(self) -> bool:
        """Nothing was written where a value belongs."""
        return self.plain and not self.text and self.tag is None


@dataclass(slots=True)
class ListNode:
    """A sequence."""

    line: int
    tag: str | None = None
    items: "list[Node]" = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class MapNode:
    """A mapping as it was written: keys may repeat."""

    line: int
    tag: str | None = None
    pairs: "list[tuple[Node, Node]]" = field(default_factory=list)
    size: int = 1


Node = Scalar | ListNode | MapNode


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that is wrong with the document's form, before anybody asks what it means."""

    message: str
    line: int
    loc: Loc
    hint: str = ""
    code: str = "syntax"


def value_of(node: Node, complaints: list[Complaint], loc: Loc = ()) -> object:
    """The plain Python value of a tree; what is wrong with its form goes into ``complaints``."""
    if node.tag is not None and node.tag not in _TAGS:
        complaints.append(Complaint(f"the tag {node.tag!r} has no meaning here", node.line, loc, "remove it"))
    match node:
        case Scalar():
            return _scalar(node)
        case ListNode(items=items):
            return [value_of(item, complaints, (*loc, index)) for index, item in enumerate(items)]
    _complain_of_keys(node, complaints, loc)
    result: dict[str, object] = {}
    for key, (_, child) in entries(node).items():
        result[key] = value_of(child, complaints, (*loc, key))
        if isinstance(child, Scalar) and child.empty:
            message = f"nothing is written after '{key}:'"
            complaints.append(Complaint(message, child.line, (*loc, key), "write a value, or remove the key", "empty"))
    return result


def entries(node: MapNode) -> dict[str, tuple[int, Node]]:
    """A mapping's keys with their line and value: the first of repeated keys, then what ``<<`` brings in."""
    own: dict[str, tuple[int, Node]] = {}
    for key, child in node.pairs:
        if isinstance(key, Scalar) and not _merges(key):
            own.setdefault(_name(key), (key.line, child))
    for merged in _merged(node):
        for name, entry in entries(merged).items():
            own.setdefault(name, entry)
    return own


def find(root: Node, loc: Loc) -> Node | None:
    """The node at a place, or ``None``."""
    node: Node | None = root
    for part in loc:
        node = _child(node, part)
    return node


def line_of(root: Node, loc: Loc) -> int:
    """The line of a place: of its key in a mapping; for something that is missing, of what should hold it."""
    line = root.line
    node: Node | None = root
    for part in loc:
        if isinstance(node, MapNode) and part in (known := entries(node)):
            line = known[str(part)][0]
        node = _child(node, part)
        if node is None:
            return line
        line = line if isinstance(part, str) else node.line
    return line


def from_value(value: object) -> Node:
    """A tree of a value that has no lines (a document that came as JSON)."""
    match value:
        case dict():
            return MapNode(
                0, pairs=[(Scalar(0, str(key), plain=False), from_value(item)) for key, item in value.items()]
            )
        case list() | tuple():
            return ListNode(0, items=[from_value(item) for item in value])
        case None:
            return Scalar(0, "null")
        case bool():
            return Scalar(0, "true" if value else "false")
        case int() | float():
            return Scalar(0, str(value))
    return Scalar(0, str(value), plain=False)


def _child(node: Node | None, part: str | int) -> Node | None:
    match node:
        case MapNode() if str(part) in (known := entries(node)):
            return known[str(part)][1]
        case ListNode(items=items) if isinstance(part, int) and part < len(items):
            return items[part]
    return None


def _scalar(node: Scalar) -> object:
    if not node.plain or node.tag == "tag:yaml.org,2002:str":
        return node.text
    if node.text.lower() in _WORDS:
        return _WORDS[node.text.lower()]
    if _INTEGER.match(node.text):
        return int(node.text)
    if _HEXADECIMAL.match(node.text):
        return int(node.text, 16)
    return float(node.text) if _DECIMAL.match(node.text) else node.text


def _complain_of_keys(node: MapNode, complaints: list[Complaint], loc: Loc) -> None:
    first: dict[str, int] = {}
    for key, child in node.pairs:
        if not isinstance(key, Scalar):
            complaints.append(Complaint("a list or a map can't be a key", key.line, loc))
        elif _merges(key):
            if not all(isinstance(source, MapNode) for source in _sources(child)):
                complaints.append(Complaint("'<<' needs the name of a map, such as *printer", key.line, loc))
        elif (name := _name(key)) in first:
            message = f"{key.text!r} is given twice, first in line {first[name]}"
            complaints.append(Complaint(message, key.line, (*loc, name), "keep one of the two", "duplicate-key"))
        else:
            first[name] = key.line


def _name(key: Scalar) -> str:
    """A key as models know it; a key code may be written 0x0A."""
    return str(int(key.text, 16)) if key.plain and _HEXADECIMAL.match(key.text) else key.text


def _merges(key: Scalar) -> bool:
    return key.plain and key.text == "<<"


def _merged(node: MapNode) -> Iterator[MapNode]:
    for key, child in node.pairs:
        if isinstance(key, Scalar) and _merges(key):
            yield from (source for source in _sources(child) if isinstance(source, MapNode))


def _sources(node: Node) -> Sequence[Node]:
    return node.items if isinstance(node, ListNode) else (node,)
