"""From a file to a tree: encoding, YAML's syntax, anchors; everything wrong in a technician's words."""

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from hallctl.config.problem import Problem
from hallctl.config.tree import MAX_DEPTH, MAX_NODES, ListNode, MapNode, Node, Scalar

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FULL_WIDTH = {
    "：": ":",
    "－": "-",
    "　": " ",
    "，": ",",
    "［": "[",
    "］": "]",
    "｛": "{",
    "｝": "}",
    "“": '"',
    "”": '"',
}

_WORDS = (
    # what libyaml says, what a technician reads, and the hint
    (
        "mapping values are not allowed",
        "a ':' stands where none can be",
        "check the indentation of this line and of the one above; put a text that holds ': ' into quotes",
    ),
    ("could not find expected ':'", "there is no ':' after a key", "write `key: value`, with a space after the colon"),
    ("unexpected end of stream", "a quote is opened and never closed", "close it, or remove it"),
    ("did not find expected ',' or ']'", "a list that '[' opens is never closed", "write ']'"),
    ("did not find expected ',' or '}'", "a map that '{' opens is never closed", "write '}'"),
    ("did not find expected '-' indicator", "this line does not belong to the list above it", "check its indentation"),
    ("did not find expected key", "this line does not fit to the lines above it", "check its indentation and quotes"),
    ("cannot start any token", "a value can't begin with this character", "put the value into quotes"),
    ("unknown escape character", 'a backslash in "..." begins an unknown escape', "use '...' quotes instead"),
    ("exceeded maximum nesting depth", f"more than {MAX_DEPTH} levels are nested", ""),  # libyaml's own limit
    ("tab character", "a tab is used for indentation", "use spaces only"),
    ("maximum nesting depth", f"more than {MAX_DEPTH} levels are nested", ""),  # libyaml has a limit of its own
)


def read(path: Path) -> Node:
    """Read a file. Raises a fatal ``Problem``."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise Problem(
            "there is no such file", path=str(path), code="absent", fatal=True, hint="check the path"
        ) from exc
    except OSError as exc:
        hint = "check the path and who may read it"
        raise Problem(f"can't be read: {exc.strerror}", path=str(path), code="absent", fatal=True, hint=hint) from exc
    return parse(_decode(data, str(path)), str(path))


def parse(text: str, path: str) -> Node:
    """The tree of a text. Raises a fatal ``Problem`` with the line where YAML's syntax breaks."""
    if bad := _FORBIDDEN.search(text):
        message = f"a control character (U+{ord(bad.group()):04X}) stands here"
        raise _broken(message, path, text.count("\n", 0, bad.start()) + 1, "remove it")
    try:
        return _Builder(path).build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as exc:
        raise _translate(exc, text, path) from exc
    except yaml.YAMLError as exc:
        raise _broken(f"this is not YAML: {exc}", path, 0, "") from exc


def _decode(data: bytes, path: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _broken("the file is saved as UTF-16", path, 1, "save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise _broken(f"the file is not saved as UTF-8{_guess(data)}", path, line, _iconv(data, path)) from exc


def _guess(data: bytes) -> str:
    return " but probably as GBK" if _is_gbk(data) else ""


def _iconv(data: bytes, path: str) -> str:
    name = Path(path).name
    return f"iconv -f GB18030 -t UTF-8 {name} > new.yaml" if _is_gbk(data) else "save it as UTF-8"


def _is_gbk(data: bytes) -> bool:
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True


def _broken(message: str, path: str, line: int, hint: str) -> Problem:
    return Problem(message, path=path, line=line, code="syntax", fatal=True, hint=hint)


def _translate(exc: yaml.MarkedYAMLError, text: str, path: str) -> Problem:
    problem = exc.problem or exc.context or "unreadable"
    mark, start = exc.problem_mark, exc.context_mark
    line = mark.line + 1 if mark else 0
    if start and ("end of stream" in problem or "expected ','" in problem or "expected ':'" in problem):
        line = start.line + 1  # where it was opened says more than where the file ended
    words = next(((say, hint) for told, say, hint in _WORDS if told in problem), (f"this is not YAML: {problem}", ""))
    written = _lines(text, line)
    if "\t" in written[-1][: len(written[-1]) - len(written[-1].lstrip())]:
        words = ("a tab is used for indentation", "use spaces only")
    return _broken(words[0], path, line, full_width_hint("\n".join(written)) or words[1])


def _lines(text: str, line: int) -> list[str]:
    """The line and, before it, the one above: a mistake is often noticed one line late."""
    lines = text.splitlines() or [""]
    return lines[max(0, line - 2) : max(1, line)] or [""]


def full_width_hint(text: str) -> str:
    """A hint where a Chinese input method has left full-width punctuation that looks like YAML's."""
    unquoted = re.sub(r"#.*|\"[^\"]*\"|'[^']*'", "", text)
    found = next((mark for mark in _FULL_WIDTH if mark in unquoted), None)
    return f"{found!r} is a Chinese full-width character: write {_FULL_WIDTH[found]!r}" if found else ""


class _Builder:
    """Puts the parser's events together, with a stack of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._anchors: dict[str, Node] = {}
        self._open: list[tuple[ListNode | MapNode, str | None]] = []
        self._key: dict[int, Node] = {}
        self._root: Node | None = None

    def build(self, events: Iterable[yaml.Event]) -> Node:
        for event in events:
            self._take(event, event.start_mark.line + 1 if event.start_mark else 0)
        if self._root is None:
            raise _broken("the file is empty", self._path, 1, "see configs/small-hall for an example")
        return self._root

    def _take(self, event: yaml.Event, line: int) -> None:
        match event:
            case yaml.DocumentStartEvent() if self._root is not None:
                raise _broken("a second document begins here", self._path, line, "remove the line '---'")
            case yaml.ScalarEvent(value=text, style=style, tag=tag, anchor=anchor):
                self._add(Scalar(line, text, not style, tag), anchor)
            case yaml.SequenceStartEvent(tag=tag, anchor=anchor):
                self._begin(ListNode(line, tag), anchor)
            case yaml.MappingStartEvent(tag=tag, anchor=anchor):
                self._begin(MapNode(line, tag), anchor)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._add(*self._open.pop())
            case yaml.AliasEvent(anchor=str(anchor)):
                self._add(self._known(anchor, line), None)

    def _begin(self, node: ListNode | MapNode, anchor: str | None) -> None:
        self._open.append((node, anchor))
        if len(self._open) > MAX_DEPTH:
            raise _broken(f"more than {MAX_DEPTH} levels are nested", self._path, node.line, "")

    def _known(self, anchor: str, line: int) -> Node:
        if anchor not in self._anchors:
            raise _broken(f"*{anchor} is not defined above", self._path, line, f"write &{anchor} where it is defined")
        return self._anchors[anchor]

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self._root = node
            return
        parent, _ = self._open[-1]
        parent.size += node.size
        if parent.size > MAX_NODES:
            raise _broken(f"more than {MAX_NODES} values", self._path, node.line, "use fewer aliases (*name)")
        if isinstance(parent, ListNode):
            parent.items.append(node)
        elif (key := self._key.pop(id(parent), None)) is not None:
            parent.pairs.append((key, node))
        else:
            self._key[id(parent)] = node
