"""``hallctl support-bundle``: state, log, traces, configuration without secrets, and what the box has, in one file."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from hallctl import __version__
from hallctl.cli.diagnose.outside import look_from_outside
from hallctl.cli.language import _
from hallctl.cli.link import open_local, target_of
from hallctl.cli.output import EX_OK
from hallctl.cli.where import config_option, find_config
from hallctl.cli.who import who
from hallctl.config import load_controller
from hallctl.errors import HallctlError, LocalError
from hallctl.link.look_data import LookResult
from hallctl.link.result_data import TraceResult
from hallctl.local import LocalClient
from hallctl.model import ReplyState
from hallctl.support import Archive, Scrubber, secrets_of, system_facts
from hallctl.trace import TraceHeader, trace_text

DIAGNOSE_S = 90.0
_STREAMS = {"state/retained.jsonl": "retained", "log/recent.jsonl": "recent-log", "events.jsonl": "recent-events"}


@click.command("support-bundle")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to; default: hallctl-support-SITE-BOX-TIME.tar.gz here.",
)
@click.option("--no-probe", is_flag=True, help="Ask no device anything.")
@config_option
def support_bundle(*, out: Path | None, no_probe: bool, config: Path | None) -> int:
    """Pack what a vendor or the maintainers need to find a fault, without secrets, into one file.

    Run it at the box, as root, so that every secret can be read and be looked for. It works without the daemon, too.
    """
    path = find_config(config)
    box = load_controller(path)
    documents = {one: one.read_text("utf-8", "surrogateescape") for one in (path, box.hall) if one.is_file()}
    secrets = secrets_of(documents)
    out = out or Path(f"hallctl-support-{box.site}-{box.controller}-{datetime.now():%Y%m%d-%H%M%S}.tar.gz")
    try:
        with Archive(out, Scrubber(secrets.values)) as archive:
            archive.problems += secrets.unread
            for document, text in documents.items():
                archive.add(f"config/{document.name}", text)
            for name, text in system_facts(box.state_dir).items():
                archive.add(name, text)
            asyncio.run(_from_the_daemon(archive, path, probe=not no_probe))
    except OSError as exc:
        hint = _("name another file with --out, in a folder of yours that has room")
        raise HallctlError(f"{exc.filename or out}: {exc.strerror or exc}", hint=hint) from exc
    click.echo(str(out))
    for problem in archive.problems:
        click.echo(_("warning: {problem}").format(problem=problem), err=True)
    return EX_OK


async def _from_the_daemon(archive: Archive, config: Path, *, probe: bool) -> None:
    """What only the daemon knows; without one, why there is none, and what is seen from outside."""
    target = target_of(config, None, None, None)
    try:
        client = await open_local(target, or_broker=False)
    except LocalError as exc:
        archive.problems.append(f"{exc.message} ({exc.code}): no state, log and traces of the daemon")
        found = await asyncio.to_thread(look_from_outside, config, None, exc)
        archive.add("diagnose.json", _json(found))
        return
    if client is not None:
        async with client:
            await _Daemon(client, archive).tell(probe=probe)


class _Daemon:
    """Asks for one thing after the other; what fails is told in the manifest, and costs only itself."""

    def __init__(self, client: LocalClient, archive: Archive) -> None:
        self._client = client
        self._archive = archive

    async def tell(self, *, probe: bool) -> None:
        look = await self._answer("state/look.json", "controller.look", {})
        for member, stream in _STREAMS.items():
            await self._stream(member, stream)
        for name in _traceable(look):
            await self._trace(name)
        await self._running()
        await self._answer("diagnose.json", "terminal.diagnose", {"probe": probe})

    async def _ask(self, name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        reply = await self._client.command(name, data, by=who(), expires_s=DIAGNOSE_S)
        if reply.state is not ReplyState.SUCCEEDED:
            raise LocalError(reply.message, code=reply.code, hint=reply.hint)
        return reply.data

    async def _answer(self, member: str, name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            found = await self._ask(name, data)
        except LocalError as exc:
            self._archive.problems.append(f"{member}: {exc.message}")
            return {}
        self._archive.add(member, _json(found))
        return found

    async def _stream(self, member: str, name: str) -> None:
        try:
            lines = [_line(record) async for record in self._client.stream(name, {})]
        except HallctlError as exc:
            self._archive.problems.append(f"{member}: {exc.message}")
            return
        self._archive.add(member, "".join(f"{line}\n" for line in lines))

    async def _trace(self, name: str) -> None:
        member = f"traces/{name}.trace"
        try:
            results = [one async for one in self._kept(name)]
        except LocalError as exc:
            self._archive.problems.append(f"{member}: {exc.message}")
            return
        hello, first = self._client.hello, results[0]
        header = TraceHeader(
            version=__version__,
            site=hello.site,
            controller=hello.controller,
            terminal=name,
            driver=first.driver,
            port=first.port,
        )
        self._archive.add(member, trace_text(header, [record for one in results for record in one.records]))

    async def _kept(self, name: str) -> AsyncIterator[TraceResult]:
        after = 0
        while True:
            result = TraceResult.model_validate(await self._ask("terminal.trace", {"terminal": name, "after": after}))
            yield result
            if not result.records:
                return
            after = result.number

    async def _running(self) -> None:
        """The document that runs, where it is not the box's own."""
        member = "config/running.yaml"
        text = b""
        try:
            while True:
                chunk = await self._ask("config.get", {"offset": len(text)})
                text += base64.b64decode(chunk["data"])
                if chunk["last"]:
                    break
        except LocalError as exc:
            self._archive.problems.append(f"{member}: {exc.message}")
            return
        if chunk["source"] != "hall.yaml":
            self._archive.add(member, text)


def _traceable(look: Mapping[str, Any]) -> list[str]:
    if not look:  # the daemon did not say
        return []
    seen = LookResult.model_validate(look)
    return [*(one.id for one in seen.terminals if one.openings or one.errors), *(bus.id for bus in seen.buses)]


def _line(record: Mapping[str, Any]) -> str:
    """A log line or an entry is a line of JSON already; a retained topic becomes one."""
    return str(
        record.get("line") or (record["payload"] if len(record) == 1 else json.dumps(record, ensure_ascii=False))
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"
