"""A push from its first look at the broker to its end, and the taking up of one that was interrupted."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hallctl.config import ConfigErrors
from hallctl.errors import ConfigError, LinkError, RequestRefused
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import Checked, Document, Source, check_value, merge_patch
from hallctl.fleet.driving import BrokerLost, Driver, TakenOver, Tell
from hallctl.fleet.fetching import fetch_documents
from hallctl.fleet.planning import Planned, make_plan, running_document, selected
from hallctl.fleet.reading import site_filters
from hallctl.fleet.rollout import Rollout
from hallctl.fleet.rollout_values import Plan
from hallctl.fleet.selector import Selection
from hallctl.fleet.view import ControllerView
from hallctl.link.configuration import HealthRule, document_hash
from hallctl.link.rollouts import (
    DOCUMENT_FILTER,
    HEAD_FILTER,
    RolloutHead,
    RolloutPhase,
    RolloutRules,
    TargetRow,
    document_topic,
    encode_document,
    head_topic,
    outcomes_topic,
    targets_topic,
)
from hallctl.link.topics import Topics

BEATS_TO_WAIT = 3.0


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What an operator asks for. ``expect``: so many controllers must be seen, else nothing is sent."""

    source: Source
    selection: Selection
    rules: RolloutRules = field(default_factory=RolloutRules)
    health: HealthRule = field(default_factory=HealthRule)
    expect: int | None = None
    beat_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A push that could begin now. ``present``: what each controller runs, where that is known."""

    planned: Planned
    views: Mapping[Topics, ControllerView]
    present: Mapping[Topics, Document]


async def prepare(desk: Desk, request: PushRequest, *, look: bool = False) -> Prepared:
    """Read the fleet and plan. ``look``: fetch what the controllers run, for a dry run.

    Raises ``RequestRefused`` when the selectors mean nobody or others are at it, ``ConfigErrors`` when a patch makes
    a document that can't run, ``LinkError``.
    """
    await desk.subscribe(HEAD_FILTER)
    await _read_registry(desk, request.selection.sites)
    views = selected(desk.reader.controllers.values(), request.selection)
    _require_known(desk, request, views)
    present: dict[Topics, Document] = {}
    if look or request.source.patch is not None:
        present = await present_documents(desk, views)
    wanted = _wanted(request.source, views, present)
    planned = make_plan(views, wanted, request.rules, request.health, desk.is_online)
    if not look:
        await _require_alone(desk, planned.plan.targets)
    return Prepared(planned, {view.topics: view for view in views}, present)


async def _read_registry(desk: Desk, sites: Sequence[str]) -> None:
    """Who is there and what each one is wanted to run. What is wanted is read once: our own pushes would come back."""
    await desk.read(sites, "config/reported", "config/desired")
    known = sorted({view.topics.site for view in desk.reader.controllers.values()})
    await desk.unsubscribe(*site_filters(known, ["config/desired"]))


async def present_documents(desk: Desk, views: Sequence[ControllerView]) -> dict[Topics, Document]:
    """What each of them runs: from the broker where it has it, else asked for, each document once."""
    found: dict[Topics, Document] = {}
    by_hash: dict[str, Document] = {}
    ask: dict[str, Topics] = {}
    for view in views:
        hash_ = view.reported.applied_hash if view.reported else ""
        if (document := running_document(view)) is not None:
            by_hash[hash_] = document
        elif hash_ and desk.is_online(view.topics):
            ask.setdefault(hash_, view.topics)
    wanted = [topics for hash_, topics in ask.items() if hash_ not in by_hash]
    for fetched in (await fetch_documents(desk.calls, wanted)).values() if wanted else ():
        if fetched.document is not None:
            by_hash[fetched.hash] = fetched.document
    for view in views:
        if view.reported is not None and view.reported.applied_hash in by_hash:
            found[view.topics] = by_hash[view.reported.applied_hash]
    return found


async def begin(desk: Desk, request: PushRequest, prepared: Prepared, tell: Tell) -> Driver:
    """Make it a rollout that the broker knows. Nothing has been sent to a controller yet."""
    plan = prepared.planned.plan
    now = desk.clock.now()
    head = RolloutHead(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        by=desk.by,
        desk=desk.id,
        beat_s=request.beat_s,
        at=now,
        started_at=now,
        file=request.source.name[:200],
        selector=request.selection.texts,
        rules=request.rules,
        health=request.health,
        waves=list(plan.waves),
        parts=-(-len(plan.targets) // 400),
    )
    driver = Driver(desk, Rollout(plan, desk.is_online), head, dict(prepared.planned.documents), tell)
    await driver.begin()
    return driver


async def see_through(desk: Desk, start: Callable[[], Awaitable[Driver | None]], tell: Tell) -> Driver | None:
    """Connect, ``start`` a driver (or ``None``: nothing to do), and drive until it is over, through lost connections.

    Raises ``TakenOver``, and what ``start`` raises.
    """
    driver: Driver | None = None
    try:
        async with desk.connected():
            driver = await start()
            if driver is not None:
                await driver.drive()
    except TakenOver:
        raise
    except LinkError as exc:
        if driver is None:
            raise
        tell(BrokerLost(str(exc)))
        await driver.drive_on(sites_of(driver.rollout.plan.targets))
    return driver


async def take_up(desk: Desk, rollout: str | None, tell: Tell, *, take_over: bool, back: str | None = None) -> Driver:
    """Go on with a rollout that was interrupted; ``None``: the only one. The desk is connected.

    ``back``: why it shall be taken back instead of going on. Raises ``RequestRefused`` when there is none, when it is
    not clear which one, or another desk is driving it; ``LinkError`` when the broker has lost what that needs.
    """
    await desk.subscribe(HEAD_FILTER)
    await desk.settle()
    head = _which(desk, rollout)
    if not take_over:
        await _require_dead(desk, head)
    parts = [topic(head.id, n) for n in range(head.parts) for topic in (targets_topic, outcomes_topic)]
    await desk.subscribe(DOCUMENT_FILTER, *parts)
    await desk.settle()
    rows = desk.book.rows(head.id)
    if rows is None:
        raise await _without_targets(desk, head, back)
    await desk.unsubscribe(DOCUMENT_FILTER)
    await _read_registry(desk, sites_of(rows))
    await _recover_documents(desk, rows)
    if back is None:
        _require_documents(desk, head, rows)
    plan = Plan(tuple(rows), tuple(head.waves), head.rules, head.health)
    engine = Rollout(plan, desk.is_online, desk.book.progress(head.id))
    mine = head.model_copy(update={"desk": desk.id, "epoch": head.epoch + 1, "beat": 0})
    driver = Driver(desk, engine, mine, dict(desk.book.documents), tell, back)
    await driver.claim()
    return driver


async def _without_targets(desk: Desk, head: RolloutHead, back: str | None) -> LinkError:
    """Nobody can go on with it. Whoever wants it taken back wants it to end: it ends, and stands in nobody's way."""
    lost = f"the broker has lost part of rollout {head.id}: nobody knows its targets"
    hint = "push again; hallctl fleet status says who runs what"
    if back is not None:
        update = {"desk": desk.id, "epoch": head.epoch + 1, "phase": RolloutPhase.ABORTED}
        update |= {"reason": "its targets are lost", "at": desk.clock.now(), "ended_at": desk.clock.now()}
        await desk.publish(head_topic(head.id), head.model_copy(update=update).encode(), retain=True)
        lost += "; it is ended, and nothing was taken back"
    return LinkError(lost, code="rollout.lost", hint=hint)


def sites_of(rows: Sequence[TargetRow]) -> tuple[str, ...]:
    """Topic levels of the sites that have to be read for these targets."""
    sites = {row.site for row in rows}
    return tuple(sorted(sites)) if len(sites) <= 20 else ("+",)


def _require_known(desk: Desk, request: PushRequest, views: Sequence[ControllerView]) -> None:
    known = [view.traits for view in desk.reader.controllers.values() if view.known]
    if nobody := request.selection.without_match(known):
        hint = "hallctl fleet status --all lists the controllers that the broker knows"
        raise RequestRefused("selector.empty", f"no controller fits {' and none fits '.join(nobody)}", hint=hint)
    if request.expect is not None and len(views) != request.expect:
        hint = "has each of them been connected? does this broker limit retained messages (docs/fleet.md)?"
        raise RequestRefused(
            "selector.unexpected", f"{len(views)} controllers fit, {request.expect} were expected", hint=hint
        )


def _wanted(
    source: Source, views: Sequence[ControllerView], present: Mapping[Topics, Document]
) -> Mapping[Topics, Checked]:
    if source.whole is not None:
        return {view.topics: source.whole for view in views}
    if source.patch is None:
        return source.each
    wanted: dict[Topics, Checked] = {}
    merged: dict[str, Checked] = {}
    errors: list[ConfigError] = []
    for view in views:
        document = present.get(view.topics)
        if document is None:
            continue
        key = document_hash(document)
        try:
            if key not in merged:
                name = f"{source.name} on {view.topics.site}/{view.topics.controller}"
                merged[key] = check_value(merge_patch(document, source.patch), name)
            wanted[view.topics] = merged[key]
        except ConfigErrors as exc:
            errors += exc.errors
    if errors:
        raise ConfigErrors(errors)
    return wanted


async def _require_alone(desk: Desk, targets: Sequence[TargetRow]) -> None:
    """Two rollouts must not pull at one controller."""
    ours = {row.topics for row in targets}
    for head in desk.book.unfinished():
        await desk.subscribe(*(targets_topic(head.id, part) for part in range(head.parts)))
        await desk.settle()
        rows = desk.book.rows(head.id) or []
        if shared := [row for row in rows if row.topics in ours]:
            hint = f"finish that one first: hallctl fleet push --resume {head.id}, or --go-back {head.id}"
            raise RequestRefused(
                "rollout.busy",
                f"rollout {head.id} of {head.by} is not finished and has {len(shared)} of these controllers",
                hint=hint,
            )


def _which(desk: Desk, rollout: str | None) -> RolloutHead:
    unfinished = desk.book.unfinished()
    if rollout is None and len(unfinished) == 1:
        return unfinished[0]
    if rollout is None:
        names = ", ".join(head.id for head in unfinished) or "none"
        raise RequestRefused("rollout.unclear", f"unfinished rollouts: {names}", hint="name one: --resume ID")
    head = desk.book.heads.get(rollout)
    if head is None:
        raise RequestRefused(
            "rollout.unknown", f"the broker knows no rollout {rollout!r}", hint="hallctl fleet history"
        )
    if head.phase in (RolloutPhase.DONE, RolloutPhase.ABORTED):
        hint = f"hallctl fleet history {head.id} says what became of it"
        raise RequestRefused("rollout.over", f"rollout {rollout} is {head.phase}: nothing is left to do", hint=hint)
    return head


async def _require_dead(desk: Desk, head: RolloutHead) -> None:
    """Watch for some heartbeats whether a desk still drives it; clocks are not compared."""
    await desk.clock.sleep(head.beat_s * BEATS_TO_WAIT)
    now = desk.book.heads.get(head.id, head)
    if (now.desk, now.beat) != (head.desk, head.beat):
        hint = "look with: hallctl fleet history; or take it over: --take-over"
        raise RequestRefused("rollout.driven", f"rollout {head.id} is being driven by {head.by}'s desk", hint=hint)


def _require_documents(desk: Desk, head: RolloutHead, rows: Sequence[TargetRow]) -> None:
    if head.phase is not RolloutPhase.RUNNING:
        return
    if missing := {row.document for row in rows} - desk.book.documents.keys():
        hint = f"take it back: hallctl fleet push --go-back {head.id}, then push again"
        raise LinkError(
            f"the broker has lost {len(missing)} documents of rollout {head.id}", code="rollout.lost", hint=hint
        )


async def _recover_documents(desk: Desk, rows: Sequence[TargetRow]) -> None:
    """What the broker has lost of the documents, new and former, is asked of boxes that run them, and kept again."""
    lost = {hash_ for row in rows for hash_ in (row.document, row.previous)} - desk.book.documents.keys()
    views = [desk.reader.controllers[row.topics] for row in rows if row.topics in desk.reader.controllers]
    run_it = [view for view in views if view.reported is not None and view.reported.applied_hash in lost]
    found = {document_hash(one): one for one in (await present_documents(desk, run_it)).values()}
    desk.book.documents.update(found)
    await desk.publish_all((document_topic(hash_), encode_document(one)) for hash_, one in found.items())
