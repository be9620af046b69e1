"""What simulated devices print, show and refuse, for whoever plays them with ``hallctl sim``."""

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path

import click

from hallctl.cli.language import _
from hallctl.driver import Simulator, WireSimulator
from hallctl.errors import ConfigError

_LOOK_S = 0.25


class Watch:
    """Looks at devices four times a second: new pictures go into ``folder``, refusals to standard error.

    ``simulators``: by what their files and words begin with, empty where there is one. A picture that is in the folder
    already stays. Raises ``ConfigError`` where the folder can't be made.
    """

    def __init__(self, simulators: Mapping[str, Simulator], folder: Path | None) -> None:
        self._simulators = simulators
        self._folder = folder
        self._told = dict.fromkeys(simulators, 0)
        if folder is not None:
            _make(folder)

    async def until(self, stop: asyncio.Event) -> None:
        """Look until ``stop`` is set, and once more then."""
        while not stop.is_set():
            self._look()
            try:
                async with asyncio.timeout(_LOOK_S):
                    await stop.wait()
            except TimeoutError:
                continue
        self._look()

    def _look(self) -> None:
        for name, simulator in self._simulators.items():
            if isinstance(simulator, WireSimulator):
                self._tell(name, simulator.refused)
            if self._folder is not None:
                for picture in simulator.new_pictures():
                    _keep(self._folder, name, picture)

    def _tell(self, name: str, refused: list[str]) -> None:
        for what in refused[self._told[name] :]:
            click.echo((f"{name}: " if name else "") + _("refused: {what}").format(what=what), err=True)
        self._told[name] = len(refused)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"{folder}: {exc.strerror or exc}", hint=_("name a folder that can be made")) from exc


def _keep(folder: Path, name: str, picture: bytes) -> None:
    paths = (folder / f"{name}{'-' if name else ''}{number:04}.png" for number in itertools.count(1))
    path = next(path for path in paths if not path.exists())
    try:
        path.write_bytes(picture)
    except OSError as exc:  # a full disk stops no device
        click.echo(_("warning: {path}: {strerror}").format(path=path, strerror=exc.strerror or exc), err=True)
