"""Where a box's secrets are: what its documents refer to, its keys, passwords in the environment.

They are read in order to be looked for in what is given away. One that can't be read is named, not its value.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from hallctl.support.scrub import named_in

_NAMES = re.compile(
    r"(?i)pass(?:word|wd|phrase)|(?<![a-z])pass(?![a-z])|pwd|secret|token|api[_-]?key|private[_-]?key|credential"
    r"|community|密码"
)
_KEY_FILES = ("key_file", "identity")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_LARGEST = 1 << 20
_NO_SECRETS = frozenset({"true", "false", "null", "none", "auto", "default", "required"})


@dataclass(slots=True)
class Secrets:
    """``values``: to be looked for; ``unread``: what could not be read, and why."""

    values: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)

    def add(self, value: str) -> None:
        """As it is, and each line of it."""
        parts = {value, value.strip(), *map(str.strip, value.splitlines())}
        self.values |= {part for part in parts if part and part.lower() not in _NO_SECRETS}


def secrets_of(documents: Mapping[Path, str], environment: Mapping[str, str] = os.environ) -> Secrets:
    """Every secret that these documents (path to text) lead to. Raises nothing."""
    found = Secrets()
    for name, value in environment.items():
        if _NAMES.search(name):
            found.add(value)
    for path, text in documents.items():
        found.values |= named_in(text)
        try:
            tree = yaml.safe_load(text)
        except yaml.YAMLError:
            found.unread.append(
                f"{path.name} is no YAML: what looks like a secret is masked, what it refers to is not known"
            )
            continue
        for key, value in _pairs(tree, ""):
            _look(found, key, value, path.parent, environment)
    return found


def _pairs(tree: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every value with the key that it stands under, at any depth; maps are given too."""
    yield key, tree
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _pairs(value, str(name))
    elif isinstance(tree, list):
        for value in tree:
            yield from _pairs(value, key)


def _look(found: Secrets, key: str, value: Any, folder: Path, environment: Mapping[str, str]) -> None:
    match value:
        case {"env": str(name)} if len(value) == 1:
            if environment.get(name):
                found.add(environment[name])
            else:
                found.unread.append(f"the variable {name} is not set here: its value can't be looked for")
        case {"file": str(path)} if len(value) == 1:
            _from_file(found, folder / path)
        case str() if key in _KEY_FILES:
            _from_file(found, folder / value, key=True)
        case str() if _NAMES.search(key):
            found.add(value)
        case int() if _NAMES.search(key) and not isinstance(value, bool):
            found.add(str(value))
        case str() if "://" in value and "@" in value:
            _from_url(found, value)


def _from_url(found: Secrets, url: str) -> None:
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        found.add(password)
        found.add(unquote(password))


def _from_file(found: Secrets, path: Path, *, key: bool = False) -> None:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("utf-8-sig", "surrogateescape")
    except OSError as exc:
        found.unread.append(f"{path}: {exc.strerror}: what is in it can't be looked for; run this as root")
        return
    keys = _PEM.findall(text)
    if not key and not keys:
        found.add(text)
    for body in keys:
        found.add(body)
        found.add("".join(body.split()))
