"""One mistake in a document, and all mistakes of a document together."""

from collections.abc import Iterable
from pathlib import Path

from hallctl.errors import ConfigError, HallctlError

Loc = tuple[str | int, ...]
"""Where in a document: keys and indices from its root, as pydantic gives them."""


class Problem(ConfigError):
    """One mistake. ``loc`` and ``pointer`` (RFC 6901) say where; ``code`` is stable; ``fatal``: nothing can run."""

    def __init__(
        self,
        message: str,
        *,
        path: str,
        line: int = 0,
        loc: Loc = (),
        code: str = "invalid",
        fatal: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, path=path, line=line, pointer=pointer_of(loc), hint=hint)
        self.loc = loc
        self.code = code
        self.fatal = fatal

    def __str__(self) -> str:
        place = "/".join(map(str, self.loc))
        where = f"{self.path}:{self.line}" if self.line else self.path
        advice = f" ({self.hint})" if self.hint else ""
        return ": ".join(part for part in (where, place, self.message) if part) + advice


class ConfigErrors(HallctlError):
    """Every mistake that was found in one document, in the order of its lines."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors: tuple[ConfigError, ...] = tuple(errors)
        names = {Path(error.path).name for error in self.errors if error.path}
        count = "1 mistake" if len(self.errors) == 1 else f"{len(self.errors)} mistakes"
        told = "; ".join(map(str, self.errors[:5]))
        super().__init__(f"{count} in {', '.join(sorted(names)) or 'the configuration'}", hint=told)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


def pointer_of(loc: Loc) -> str:
    """A place as a JSON pointer: ``/terminals/3/address``; the root is the empty text."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in loc)
