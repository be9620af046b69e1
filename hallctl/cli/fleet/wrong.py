"""What is wrong with a controller itself, in the person's language.

The fleet room words it in English, as JSON has it; for another language it is worded anew from the same facts.
"""

from collections.abc import Iterator

from hallctl.cli.language import _, language
from hallctl.cli.words import code_word, explained, status_word
from hallctl.faultbook import ENGLISH
from hallctl.fleet.overview import ControllerLine
from hallctl.link.configuration import ApplyStatus

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
    first = reported.errors[0]
    message, hint = explained(first.code, first.message, first.hint)
    more = len(reported.errors) + reported.errors_cut - 1
    place = f"{first.pointer}: " if first.pointer else ""
    yield f"{words}: {place}{message}" + (_(" and {number:,} more").format(number=more) if more else ""), hint
