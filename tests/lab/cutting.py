"""The power fails in the middle of everything. What the box had accepted is in its log then, nothing is done twice."""

from collections.abc import Callable

from lab.bench import scenario, until
from lab.box import Box
from lab.failing import whole

TICKETS = 4  # for each printer
ENDS = {"succeeded", "failed", "unknown"}


@scenario("power cut: as soon as the first command is accepted")
def at_the_first_word(box: Box) -> None:
    _cut(box, "P1", lambda commands: any(box.centre.replies[one] for one in commands))


@scenario("power cut: while tickets are half on paper")
def in_tickets(box: Box) -> None:
    for printer in ("printer-usb", "printer-lp"):
        box.device("appetite", printer, size=300)

    def half() -> bool:
        return 0 in box.device("look")["appetite"].values()

    _cut(box, "P2", lambda _commands: half())


@scenario("power cut: while some tickets are out, numbers are called and a citizen has just rated")
def in_everything(box: Box) -> None:
    thanked = box.device("look")["thanked"]

    def rated(commands: list[str]) -> bool:
        look = box.device("look")
        if look["pad_lit"]:
            box.device("rate", key=0)
        return look["thanked"] > thanked and any(box.centre.final(one) for one in commands)

    _cut(box, "P3", rated)


@scenario("power cut: when everything has just been said to be done")
def at_the_end(box: Box) -> None:
    _cut(box, "P4", lambda commands: all(box.centre.final(one) for one in commands))


def _cut(box: Box, name: str, moment: Callable[[list[str]], bool]) -> None:
    """Let the box work, cut its power at that moment, and hold everything against what the centre had been told."""
    tickets, others = _work(box, name)
    try:
        until("the moment has come", lambda: moment([*tickets, *others]))
    except AssertionError as exc:
        said = {one: [str(reply.state) for reply in box.centre.replies[one]] for one in [*tickets, *others]}
        raise AssertionError(f"{exc}: {box.device('look')}; {said}") from None
    box.cut()
    accepted = {one for one in [*tickets, *others] if box.centre.replies[one]}
    final = {one: reply for one in accepted if (reply := box.centre.final(one))}
    before = dict(box.centre.entries)
    papers = {one: box.on_paper(number) for one, number in tickets.items()}
    box.boot()
    box.ready()
    whole(box, before)
    for one in accepted:
        reply = box.centre.answer(one)
        assert str(reply.state) in ENDS, reply
        assert one not in final or reply == final[one], f"said {final[one]}, then {reply}"
        _repeated(box, one, tickets.get(one))
    for one, number in tickets.items():
        _on_paper_as_said(box, one, number, papers[one])


def _work(box: Box, name: str) -> tuple[dict[str, str], list[str]]:
    """Tickets for both printers, calls and a question to a citizen, all at once."""
    tickets = {}
    for number in range(TICKETS):
        for printer, letter in (("printer-usb", "U"), ("printer-lp", "L")):
            text = f"{letter}{name}{number}"
            tickets[box.print_ticket(printer, text)] = text
    others = [box.centre.send("evaluation.start", {"window": "window-1", "ticket": f"R{name}"})]
    others += [
        box.centre.send("number.call", {"window": "window-1", "ticket": f"{name}{number}"}) for number in range(3)
    ]
    return tickets, others


def _repeated(box: Box, command: str, number: str | None) -> None:
    """The same id once more gets the same answer, and nothing is done."""
    told, known = len(box.centre.replies[command]), box.centre.answer(command)
    name, arguments = (
        ("ticket.print", {"fields": {"number": number}}) if number else ("number.call", {"window": "window-1"})
    )
    box.centre.send(name, arguments, command)
    until("the repeated command is answered", lambda: len(box.centre.replies[command]) > told)
    assert box.centre.replies[command][-1] == known, box.centre.replies[command]


def _on_paper_as_said(box: Box, command: str, number: str, before: list[str]) -> None:
    """No ticket is printed twice. One that is said to be printed was there before the cut, or is on the new paper."""
    papers = box.on_paper(number)
    assert len(papers) <= 1, f"{number} is on paper {len(papers)} times: {papers}"
    reply = box.centre.final(command)
    if reply is not None and str(reply.state) == "succeeded":
        assert papers or before, f"{number} is said to be printed, and is not on paper"
    if reply is not None and str(reply.state) == "failed":
        assert not papers, f"{number} is said to have failed, and is on paper"
