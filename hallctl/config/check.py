"""What one item of hall.yaml says of another: ids, references, addresses on a bus.

What needs a driver or a port to be judged is in ``hallctl.driver.hallcheck``, because configuration stands below both.
"""

from collections.abc import Iterator

from hallctl.config.hall import Window
from hallctl.config.problem import Loc, Problem
from hallctl.config.result import SECTIONS, LoadedHall
from hallctl.config.suggest import did_you_mean, one_of

ROLES = ("display", "pad", "keypad")


def check_references(hall: LoadedHall) -> LoadedHall:
    """Leave out what contradicts the rest of the document. First come is kept where two claim one thing."""
    if hall.fatal:
        return hall
    checks = (_duplicates, _bus_mistakes, _fallback_mistakes, _window_mistakes, _board_mistakes)
    return hall.without([problem for check in checks for problem in check(hall)])


def references(window: Window) -> Iterator[tuple[Loc, str]]:
    """Every terminal that a window names, with its place inside the window."""
    for role in ROLES:
        if (terminal := getattr(window, role)) is not None:
            yield (role,), terminal
    if window.post is not None:
        for index, view in enumerate(window.post.watched_by):
            yield ("post", *(("views", index) if window.post.views else ()), "camera"), view.camera


def _duplicates(hall: LoadedHall) -> Iterator[Problem]:
    for section in SECTIONS:
        first: dict[str, Loc] = {}
        for loc, item in hall.items(section):
            if item.id in first:
                yield _second(hall, f"the id {item.id!r} is taken", first[item.id], (*loc, "id"))
            first.setdefault(item.id, loc)


def _bus_mistakes(hall: LoadedHall) -> Iterator[Problem]:
    buses = {bus.id for bus in hall.document.buses}
    for loc, terminal in hall.terminals():
        if terminal.bus is not None and terminal.port is not None:
            hint = "a terminal has a port of its own or shares a bus: remove one of the two"
            yield hall.problem("both 'port' and 'bus' are given", (*loc, "bus"), code="attachment", hint=hint)
        elif terminal.bus is not None and terminal.bus not in buses:
            message = f"there is no bus {terminal.bus!r}{did_you_mean(terminal.bus, buses)}"
            hint = f"buses: {one_of(buses)}; a bus that is wrong itself does not count"
            yield hall.problem(message, (*loc, "bus"), code="reference", hint=hint)
        elif terminal.bus is not None and terminal.address is None:
            hint = "every terminal on a bus has an address of its own"
            yield hall.problem("the key 'address' is missing", (*loc, "address"), code="missing", hint=hint)
        elif terminal.bus is None and terminal.address is not None:
            hint = "an address belongs to a terminal on a bus: add 'bus', or remove the address"
            yield hall.problem("an address without a bus", (*loc, "address"), code="attachment", hint=hint)


def _fallback_mistakes(hall: LoadedHall) -> Iterator[Problem]:
    known = known_terminals(hall)
    for loc, terminal in hall.terminals():
        if terminal.fallback is None:
            continue
        place = (*loc, "fallback")
        if terminal.fallback == terminal.id:
            hint = "name another printer, or remove the fallback"
            yield hall.problem("a printer can't take over for itself", place, code="reference", hint=hint)
        elif terminal.fallback not in known:
            message = f"there is no terminal {terminal.fallback!r}{did_you_mean(terminal.fallback, known)}"
            hint = "name another printer of this hall; this one runs without a fallback until then"
            yield hall.problem(message, place, code="reference", hint=hint)


def _window_mistakes(hall: LoadedHall) -> Iterator[Problem]:
    known = known_terminals(hall)
    owners: dict[tuple[Loc, str], Loc] = {}
    for loc, window in hall.windows():
        for place, terminal in references(window):
            if terminal not in known:
                yield _unknown_terminal(hall, terminal, known, (*loc, *place))
            elif place[0] == "post":
                continue  # one camera may watch several posts
            elif owners.setdefault((place, terminal), loc) != loc:
                message = f"{terminal!r} is the {place[0]} of another window"
                yield _second(hall, message, owners[place, terminal], (*loc, *place))


def _board_mistakes(hall: LoadedHall) -> Iterator[Problem]:
    known = known_terminals(hall)
    for index, display in enumerate(hall.document.main_boards.displays):
        if display not in known:
            yield _unknown_terminal(hall, display, known, ("main_boards", "displays", index))


def known_terminals(hall: LoadedHall) -> frozenset[str]:
    """Terminals that exist, quarantined ones too: a window keeps the name of a terminal that is wrong just now."""
    return frozenset(terminal.id for terminal in hall.document.terminals) | frozenset(hall.quarantined)


def _unknown_terminal(hall: LoadedHall, terminal: str, known: frozenset[str], loc: Loc) -> Problem:
    suggestion = did_you_mean(terminal, known)
    hint = "" if suggestion else f"terminals: {one_of(known)}"
    return hall.problem(f"there is no terminal {terminal!r}{suggestion}", loc, code="reference", hint=hint)


def _second(hall: LoadedHall, message: str, owner: Loc, loc: Loc) -> Problem:
    line = hall.line(owner)
    where = f"line {line}" if line else "/".join(map(str, owner))
    return hall.problem(message, loc, code="duplicate", hint=f"the first is in {where}; it stays, this one is left out")
