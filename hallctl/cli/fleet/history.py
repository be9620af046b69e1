"""``hallctl fleet history``: what was pushed, by whom, and what became of it on each controller."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from hallctl.cli.fleet.options import broker_options, settings_of, with_desk
from hallctl.cli.fleet.progress import BACK_WORDS, WORDS
from hallctl.cli.language import _, counted
from hallctl.cli.output import EX_OK, local_time, print_json, print_table
from hallctl.cli.words import status_word
from hallctl.errors import RequestRefused
from hallctl.fleet.book import RolloutBook
from hallctl.fleet.desk import Desk
from hallctl.link.rollouts import HEAD_FILTER, ROLLOUT_FILTERS, Fate, OutcomeRow, RolloutHead, TargetRow

FINE = (Fate.TOOK, Fate.WAITING)


@click.command()
@click.argument("rollout", required=False)
@click.option("--all", "everything", is_flag=True, help="Also controllers that took it.")
@broker_options
def history(*, rollout: str | None, everything: bool, config: Path | None, broker: str | None, as_json: bool) -> int:
    """List the rollouts that the broker keeps, newest first; with ROLLOUT: what became of each controller.

    Without --all only controllers are listed that did not simply take it. --json prints one object a line.
    """
    book = with_desk(settings_of(config, broker), lambda desk: _read(desk, rollout))
    if rollout is None:
        _print_all(book.newest_first(), as_json=as_json)
        return EX_OK
    head = book.heads.get(rollout)
    if head is None:
        hint = "hallctl fleet history lists them; old ones are forgotten"
        raise RequestRefused("rollout.unknown", f"the broker knows no rollout {rollout!r}", hint=hint)
    _print_one(book, head, everything=everything, as_json=as_json)
    return EX_OK


async def _read(desk: Desk, rollout: str | None) -> RolloutBook:
    prefix = HEAD_FILTER.removesuffix("+")
    topics = [one.replace(HEAD_FILTER, f"{prefix}{rollout}") for one in ROLLOUT_FILTERS] if rollout else [HEAD_FILTER]
    await desk.subscribe(*topics)
    await desk.settle(marker=False)
    return desk.book


def _print_all(heads: list[RolloutHead], *, as_json: bool) -> None:
    if as_json:
        for head in heads:
            print_json(_head_values(head))
        return
    if not heads:
        click.echo(_("the broker knows of no rollout"))
        return
    print_table(
        ("rollout", "by", "file", "to", "wave", "state", "what became of it"),
        [
            (
                head.id,
                head.by,
                head.file,
                _(" or ").join(head.selector),
                _("{number} of {total}").format(number=head.wave + 1, total=len(head.waves)),
                status_word(head.phase.value),
                head.reason or _counts(head),
            )
            for head in heads
        ],
    )


def _print_one(book: RolloutBook, head: RolloutHead, *, everything: bool, as_json: bool) -> None:
    outcomes = book.outcome_rows(head.id)
    targets = book.rows(head.id) or []
    rows = [(target, outcomes.get(target.topics)) for target in targets]
    listed = [(t, o) for t, o in rows if everything or (o is not None and o.fate not in FINE) or (o and o.way_back)]
    if as_json:
        for target, outcome in rows if everything else listed:
            print_json(_row_values(target, outcome))
        return
    click.echo(
        _("{id}: {file} to {selector}, by {by}, {time}").format(
            id=head.id,
            file=head.file,
            selector=_(" or ").join(head.selector),
            by=head.by,
            time=local_time(head.started_at),
        )
    )
    ended = (
        f", {local_time(head.ended_at)}"
        if head.ended_at
        else _(", wave {number} of {total}").format(number=head.wave + 1, total=len(head.waves))
    )
    click.echo(f"{status_word(head.phase.value)}{ended}{f': {head.reason}' if head.reason else ''}")
    found = Counter(outcome.fate if outcome else Fate.WAITING for _, outcome in rows)
    click.echo(
        f"{counted(len(rows), 'controller')}: {', '.join(f'{n:,} {_(WORDS[fate])}' for fate, n in found.items())}"
    )
    if listed:
        print_table(("controller", "version", "what it did", "way back", "why"), [_row(t, o) for t, o in listed])


def _row(target: TargetRow, outcome: OutcomeRow | None) -> tuple[str, ...]:
    fate = outcome.fate if outcome else Fate.WAITING
    back = _(BACK_WORDS.get(outcome.way_back, "")) if outcome else ""
    why = outcome.message if outcome else ""
    return (
        f"{target.site}/{target.controller}",
        f"{target.previous_version} -> {target.version}",
        _(WORDS[fate]),
        back,
        why,
    )


def _counts(head: RolloutHead) -> str:
    fates = {fate.value: _(words) for fate, words in WORDS.items()}
    return ", ".join(f"{number:,} {fates[name]}" for name, number in head.counts.items() if name in fates)


def _head_values(head: RolloutHead) -> dict[str, Any]:
    return head.model_dump(mode="json")


def _row_values(target: TargetRow, outcome: OutcomeRow | None) -> dict[str, Any]:
    fate = outcome.fate.value if outcome else Fate.WAITING.value
    back, why = (outcome.way_back.value, outcome.message) if outcome else ("", "")
    return {**target.model_dump(mode="json"), "fate": fate, "way_back": back, "why": why}
