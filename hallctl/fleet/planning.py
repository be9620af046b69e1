"""From what is known of the controllers to a plan: who gets which document, which version, in which order; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hallctl.fleet.documents import Checked, Document
from hallctl.fleet.rollout_values import Plan, wave_sizes
from hallctl.fleet.selector import Selection
from hallctl.fleet.view import ControllerView
from hallctl.link.configuration import ApplyStatus, HealthRule, document_hash
from hallctl.link.rollouts import RolloutRules, TargetRow
from hallctl.link.topics import Topics


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, the documents that it needs by hash, and who is left out. ``unchanged``: run it already."""

    plan: Plan
    documents: Mapping[str, Document]
    unchanged: tuple[Topics, ...] = ()
    without_document: tuple[Topics, ...] = ()
    not_known: tuple[Topics, ...] = field(default=())


def selected(views: Iterable[ControllerView], selection: Selection) -> list[ControllerView]:
    """The known controllers that are meant: those of an earlier selector first, then by name."""
    ranked = [(_rank(selection, view), view) for view in views if view.known]
    chosen = [(rank, view) for rank, view in ranked if rank is not None]
    chosen.sort(key=lambda pair: (pair[0], pair[1].topics.site, pair[1].topics.controller))
    return [view for _, view in chosen]


def next_version(view: ControllerView, named: int = 0) -> int:
    """One more than everything that this controller has been told, or has told."""
    known = [named]
    if view.desired is not None:
        known.append(view.desired.version)
    if view.reported is not None:
        known += [view.reported.desired_version, view.reported.applied_version]
    return max(known) + 1


def running_document(view: ControllerView) -> Document | None:
    """What it runs, where the broker has it: it said that it runs what it was last given."""
    if view.desired is None or view.reported is None or view.reported.applied_hash != view.desired.hash:
        return None
    return view.desired.document


def make_plan(
    views: Sequence[ControllerView],
    wanted: Mapping[Topics, Checked],
    rules: RolloutRules,
    health: HealthRule,
    is_online: Callable[[Topics], bool],
) -> Planned:
    """Plan a push of ``wanted`` to ``views``, in their order; those that are offline come last."""
    documents: dict[str, Document] = {}
    hashes: dict[int, str] = {}
    rows: list[TargetRow] = []
    unchanged: list[Topics] = []
    without: list[Topics] = []
    for view in views:
        checked = wanted.get(view.topics)
        if checked is None:
            without.append(view.topics)
            continue
        wanted_hash = hashes.setdefault(id(checked), "") or document_hash(checked.document)
        hashes[id(checked)] = wanted_hash
        if _has_it(view, wanted_hash):
            unchanged.append(view.topics)
            continue
        documents[wanted_hash] = checked.document
        rows.append(_row(view, checked, wanted_hash))
    online = [row for row in rows if is_online(row.topics)]
    offline = [row for row in rows if not is_online(row.topics)]
    waves = wave_sizes(len(online), len(offline), rules.first, rules.grow)
    known = {view.topics for view in views}
    plan = Plan((*online, *offline), waves, rules, health)
    return Planned(plan, documents, tuple(unchanged), tuple(without), tuple(one for one in wanted if one not in known))


def _row(view: ControllerView, checked: Checked, wanted_hash: str) -> TargetRow:
    reported = view.reported
    return TargetRow(
        site=view.topics.site,
        controller=view.topics.controller,
        version=next_version(view, checked.version),
        document=wanted_hash,
        previous_version=reported.applied_version if reported else 0,
        previous=reported.applied_hash if reported else "",
    )


def _has_it(view: ControllerView, wanted_hash: str) -> bool:
    reported, desired = view.reported, view.desired
    if reported is None or reported.applied_hash != wanted_hash:
        return False
    settled = reported.status in (ApplyStatus.APPLIED, ApplyStatus.PARTIAL)
    return settled and (desired is None or desired.hash == wanted_hash)


def _rank(selection: Selection, view: ControllerView) -> int | None:
    traits = view.traits
    return next((n for n, one in enumerate(selection.selectors) if one.matches(traits)), None)
