"""A diagnosis for people: the cause, what to do, what else there is, then the facts."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click

from hallctl.cli.language import _, language, marked
from hallctl.cli.output import local_time, print_table
from hallctl.driver.book import explain
from hallctl.faultbook import ENGLISH


def show(found: Mapping[str, Any]) -> None:
    """Print it. The first line is the cause, or that all is well."""
    findings = found["findings"]
    if not findings:
        click.echo(_well(found))
    for number, one in enumerate(findings):
        if number == 1:
            click.echo("\n" + _("also:"))
        for line in _lines(one):
            click.echo(line)
    rows = [(_(name), text) for name, text in facts_of(found) if text]
    if rows:
        click.echo("")
        print_table(("fact", "what was found"), rows)


def _lines(finding: Mapping[str, Any]) -> Iterator[str]:
    """In English the sentence itself; in Chinese the book's title and remedy, with the sentence as the detail."""
    entry = explain(finding["code"]) if language() != ENGLISH else None
    if entry is None:
        yield finding["message"]
        if finding["hint"]:
            yield _("what to do: {remedy}").format(remedy=finding["hint"])
        return
    subject = f"{finding['subject']}: " if finding["subject"] else ""
    yield f"{subject}{entry.title(language())}"
    yield _("what to do: {remedy}").format(remedy=entry.remedy(language()))
    yield _("detail: {message}").format(message=finding["message"])


def _well(found: Mapping[str, Any]) -> str:
    terminal = found.get("terminal")
    if terminal is not None:
        since = _when(found["facts"].get(terminal, {}).get("since", ""))
        return _("{terminal} works: online since {since}").format(terminal=terminal, since=since)
    box = found["box"]
    return _("{site}/{controller}: all is well").format(site=box["site"], controller=box["controller"])


def facts_of(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and texts, what is empty as well."""
    box = found["box"]
    if found.get("terminal") is None:
        yield from _box(box)
        return
    facts = found["facts"].get(found["terminal"])
    if facts is not None:
        yield from _terminal(facts)


def _when(text: str) -> str:
    """A moment of the box, in the time zone of whoever reads it, as everywhere in the command line."""
    return local_time(datetime.fromisoformat(text)) if text else ""


def _exactly(text: str) -> str:
    """The same to the millisecond: bytes on a wire."""
    return datetime.fromisoformat(text).astimezone().isoformat(" ", "milliseconds")[:23]


def _box(box: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not box:
        return
    yield marked("daemon"), f"hallctl {box['version']}, {box['site']}/{box['controller']}"
    trusted = ", trust_clock" if box["clock_trusted"] else ""
    yield marked("clock"), f"{_when(box['now'])}, {'synchronised' if box['clock'] else 'not synchronised'}{trusted}"
    state = "connected" if box["connected"] else box["link_message"] or "not connected yet"
    yield marked("broker"), f"{box['broker']}: {state}" if box["broker"] else "none: the box works alone"
    yield marked("events that wait"), str(box["unsent"]) if box["unsent"] and box["broker"] else ""
    free = box["disk_free_mib"]
    yield marked("disk"), f"{free} MiB free at {box['disk_path']}" if free is not None else ""
    yield marked("detector model"), box["model"] if box["needs_model"] else ""
    yield marked("document"), f"{box['config_status']}, version {box['config_version']}" if box["config_status"] else ""


def _terminal(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    reason = f", {facts['reason']}" if facts["reason"] else ""
    state = f"{facts['status']}{reason} since {_when(facts['since'])} (driver {facts['driver'] or 'unknown'})"
    yield marked("state"), state if facts["since"] else ""  # from outside nobody knows it
    yield marked("what it says now"), facts["answer"]
    yield marked("what it said of itself"), ", ".join(f"{name}={value}" for name, value in facts["info"].items())
    bus = facts["bus"]
    if bus is not None:
        yield marked("line"), f"bus {bus['name']}, address {facts['address']}, {'open' if bus['is_open'] else 'closed'}"
        yield marked("others on the line"), ", ".join(f"{name} {status}" for name, status in bus["members"].items())
        yield (
            marked("frames on the line"),
            ", ".join(f"{name} {count}" for name, count in bus["counters"].items() if count),
        )
    yield from _port(facts["port"] or (bus and bus["port"]))
    yield from _trial(facts["trial"])
    for one in facts["traffic"]:
        yield (
            marked("last sent") if one["direction"] == "sent" else marked("last received"),
            f"{_exactly(one['at'])}  {one['data']}",
        )
    for one in facts["history"][-8:]:
        told = "  ".join(filter(None, (one["status"], one["reason"], one["faults"], one["message"])))
        yield marked("history"), f"{_when(one['at'])}  {told}"


def _port(port: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if not port:
        return
    there = {True: "there", False: "not there", None: ""}[port["exists"]]
    rights = f"{port['owner']} {port['mode']}".strip()
    opens = {True: "may be opened", False: "may not be opened", None: ""}[port["allowed"]]
    yield marked("port"), ", ".join(filter(None, (port["url"], there, rights, opens)))
    yield marked("held by"), ", ".join(f"{one['name']} (pid {one['pid']})" for one in port["holders"])
    yield marked("there instead"), ", ".join(port["others"])
    yield marked("addresses"), ", ".join(port["addresses"])
    yield marked("modem lines"), ", ".join(f"{name} {'on' if on else 'off'}" for name, on in port["modem"].items())
    yield marked("damaged bytes"), ", ".join(f"{name} {count}" for name, count in port["errors"].items() if count)


def _trial(trial: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in trial["attempts"]:
        where = f", address {one['address']}" if one["address"] is not None else ""
        what = "answers" if one["answered"] else one["error"] or "no answer"
        heard = f"; came: {one['received']}" if one["received"] and not one["answered"] else ""
        yield marked("tried"), f"{one['line']}{where}: {what}{heard}"
    yield marked("tried"), trial["why_not"]
