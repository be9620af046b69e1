"""What is wrong with a controller, and which document it runs, in the person's language.

The fleet room words it in English, as JSON has it; for another language it is worded anew from the same facts.
"""

from collections.abc import Iterator

from hallctl.cli.language import _, language
from hallctl.cli.words import code_word, explained, status_word
from hallctl.faultbook import ENGLISH
from hallctl.fleet.overview import OWN_HALL, ControllerLine
from hallctl.fleet.standing import Standing
from hallctl.link.configuration import ApplyStatus, Reported
from hallctl.link.rollouts import WayBack

Words = tuple[str, str]
"""What is wrong, and what to do."""


def wrong_of(line: ControllerLine) -> tuple[Words, ...]:
    """Each trouble of the controller, as ``line.wrong`` has it in English."""
    return line.wrong if language() == ENGLISH else tuple(_worded(line))


def _worded(line: ControllerLine) -> Iterator[Words]:
    status, reported = line.status, line.view.reported
    if status.status != "online":
        reason = code_word(status.reason) if status.reason else _("no reason given")
        yield f"{status_word(status.status)}: {reason}", explained(status.reason, "", "")[1]
    if reported is None or reported.status in (ApplyStatus.APPLIED, ApplyStatus.APPLYING):
        return
    words = _("version {version} {status}").format(
        version=reported.desired_version, status=status_word(reported.status.value)
    )
    if not reported.errors:
        yield words, ""
        return
    told, hint = _first(reported)
    yield f"{words}: {told}", hint


def _first(reported: Reported) -> Words:
    """The first mistake of a report that has some, and how many more there are."""
    first = reported.errors[0]
    message, hint = explained(first.code, first.message, first.hint)
    more = len(reported.errors) + reported.errors_cut - 1
    place = f"{first.pointer}: " if first.pointer else ""
    return f"{place}{message}" + (_(" and {number:,} more").format(number=more) if more else ""), hint


def why_of(one: Standing) -> str:
    """Why a target of a rollout has not taken it, or is not back, as ``one.why`` has it in English."""
    told = one.report if one.way_back is WayBack.FAILED else one.verdict
    if language() == ENGLISH or one.message or told is None or not told.errors:
        return one.why
    return _first(told)[0]


def document_word(text: str) -> str:
    """What runs, as the fleet room's ``document_of`` says it."""
    if text.startswith(OWN_HALL):
        return _("own hall.yaml") + text.removeprefix(OWN_HALL)
    return status_word(text)
