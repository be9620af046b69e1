"""``hallctl fleet diff``: one controller's document against another's, a file, or what is wanted of it."""

from dataclasses import dataclass
from pathlib import Path

import click

from hallctl.cli.fleet.options import broker_options, find_one, name_of, settings_of, with_desk
from hallctl.cli.language import _, marked
from hallctl.cli.output import EX_FAILED, EX_OK, print_json
from hallctl.errors import LinkError
from hallctl.fleet.compare import Difference, compare, restarted_terminals
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import Document, check_file
from hallctl.fleet.planning import running_document
from hallctl.fleet.pushing import present_documents
from hallctl.fleet.view import ControllerView


@click.command()
@click.argument("controller", metavar="CONTROLLER")
@click.argument("other", metavar="[OTHER|FILE]", required=False)
@click.option("--desired", is_flag=True, help="What is wanted of CONTROLLER, not what it runs.")
@broker_options
def diff(
    *, controller: str, other: str | None, desired: bool, config: Path | None, broker: str | None, as_json: bool
) -> int:
    """Say what would change on CONTROLLER if it ran what OTHER runs, or FILE; without either: what is wanted of it.

    Lines begin with + (added), - (removed) or ~ (changed). Exit code 1 when they differ. --json prints one document.
    """
    file = check_file(Path(other)).document if other and Path(other).is_file() else None
    old, new, sides = with_desk(
        settings_of(config, broker), lambda desk: _both(desk, controller, other, file, desired=desired)
    )
    differences = compare(old, new)
    restarted = restarted_terminals(old, new)
    if as_json:
        body = {"from": str(sides[0]), "to": str(sides[1]), "differences": [_values(one) for one in differences]}
        print_json({**body, "restarted": restarted})
    else:
        click.echo(
            _("from {old} to {new}").format(old=sides[0].words(), new=sides[1].words())
            + ("" if differences else _(": no difference"))
        )
        for one in differences:
            click.echo(str(one))
        if differences:
            click.echo(_("restarted: {names}").format(names=", ".join(restarted) or _("no terminal that is in both")))
    return EX_FAILED if differences else EX_OK


@dataclass(frozen=True, slots=True)
class _Side:
    """What is compared: English in JSON, the person's language in words."""

    text: str = "{name}"
    name: str = ""

    def __str__(self) -> str:
        return self.text.format(name=self.name)

    def words(self) -> str:
        return _(self.text).format(name=self.name)


async def _both(
    desk: Desk, controller: str, other: str | None, file: Document | None, *, desired: bool
) -> tuple[Document, Document, tuple[_Side, _Side]]:
    await desk.read(("+",), marker=False)
    view = _view(desk, controller)
    both = [view.topics, *([] if other is None or file is not None else [find_one(desk, other)])]
    await desk.subscribe(*(topic for one in both for topic in (one.reported, one.desired)))
    await desk.settle(marker=False)
    here = name_of(view.topics)
    old = _desired(view) if desired else await _running(desk, view)
    if other is None:
        return old, _desired(view), (_Side(marked("what {name} runs"), here), _Side(marked("what is wanted of it")))
    if file is not None:
        return old, file, (_Side(name=here), _Side(name=other))
    there = _view(desk, other)
    new = _desired(there) if desired else await _running(desk, there)
    return old, new, (_Side(name=here), _Side(name=name_of(there.topics)))


def _view(desk: Desk, text: str) -> ControllerView:
    return desk.reader.controllers[find_one(desk, text)]


def _desired(view: ControllerView) -> Document:
    if view.desired is None:
        raise LinkError(
            _("nothing was ever pushed to {name}, or the broker has lost it").format(name=name_of(view.topics)),
            code="document.unknown",
        )
    return view.desired.document


async def _running(desk: Desk, view: ControllerView) -> Document:
    if (known := running_document(view)) is not None:
        return known
    found = (await present_documents(desk, [view])).get(view.topics)
    if found is None:
        hint = "it has to be online to be asked"
        raise LinkError(
            _("what {name} runs is not known").format(name=name_of(view.topics)), code="document.unknown", hint=hint
        )
    return found


def _values(one: Difference) -> dict[str, object]:
    return {"sign": one.sign, "section": one.section, "name": one.name, "changes": list(one.changes)}
