"""Logs of another release: what only adds is used by the release before, what breaks is refused and left alone."""

import shutil
import sqlite3

import pytest

from hallctl.clock import ManualClock
from hallctl.errors import OutboxError
from hallctl.model import Alert, AlertKind, AlertState, Command, Event, EventType, Reply, ReplyState
from hallctl.outbox import Outbox
from hallctl.outbox.schema import LAYOUT, LEAST

# What a next release might do to every table without taking anything from this one.
ADDS = """
ALTER TABLE log ADD COLUMN trace TEXT NOT NULL DEFAULT '';
ALTER TABLE numbers ADD COLUMN unit TEXT;
ALTER TABLE state ADD COLUMN at TEXT;
ALTER TABLE commands ADD COLUMN trace TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN noise REAL NOT NULL DEFAULT 0.5;
CREATE TABLE traces (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE INDEX log_by_type ON log (type, seq);
"""


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


def opened(path, clock):
    return Outbox.open(path, "hall-1", "box-1", clock)


def alert(clock, state):
    return Alert("a-1", AlertKind.TERMINAL_FAULT, "printer-1", state, clock.now())


async def lived_in(path, clock, last):
    """A log that has been used in every way; gives the numbers of its entries."""
    outbox = opened(path, clock)
    first = await outbox.append(Event(EventType.KEY_PRESSED, {"n": last}))
    await outbox.append(alert(clock, AlertState.RAISED))
    await outbox.save_state("post:w1", {"seen": last})
    command = f"c-{last}"
    assert await outbox.begin_command(Command(command, "ticket.print", clock.now(), {"printer": "p"}, "a@desk")) is None
    await outbox.mark_command(command, untouched=True)
    await outbox.finish_command(Reply(command, ReplyState.SUCCEEDED))
    await outbox.mark_sent(first.seq)
    await outbox.trim()
    numbers = [one.seq for one in await outbox.unsent(after=0)]
    await outbox.close()
    return numbers


def become(path, layout, least, script=""):
    """Make the log that of another release."""
    with sqlite3.connect(path) as database:
        database.executescript(f"{script} PRAGMA user_version={layout};")
        database.execute("INSERT OR REPLACE INTO numbers (name, value) VALUES ('layout.least', ?)", (least,))
        database.execute("INSERT OR REPLACE INTO state (key, value) VALUES ('layout.writer', '\"9.1.0\"')")
    database.close()


def facts(path):
    with sqlite3.connect(path) as database:
        layout = database.execute("PRAGMA user_version").fetchone()[0]
        least = database.execute("SELECT value FROM numbers WHERE name='layout.least'").fetchone()[0]
        writer = database.execute("SELECT value FROM state WHERE key='layout.writer'").fetchone()[0]
    database.close()
    return layout, least, writer


async def test_a_new_log_says_which_layout_it_has_and_which_one_is_enough_for_it(path, clock):
    await lived_in(path, clock, 1)
    assert facts(path)[:2] == (LAYOUT, LEAST)


async def test_a_log_of_the_next_release_that_only_adds_is_used_in_every_way_and_stays_the_next_ones(path, clock):
    numbers = await lived_in(path, clock, 1)
    become(path, LAYOUT + 1, LAYOUT, ADDS)
    after = await lived_in(path, clock, 2)
    assert after == list(range(1, 2 * len(numbers) + 1))
    assert facts(path) == (LAYOUT + 1, LAYOUT, '"9.1.0"')
    with sqlite3.connect(path) as database:  # the next release comes again: its columns are there, with their defaults
        assert database.execute("SELECT DISTINCT trace FROM log").fetchall() == [("",)]
        assert database.execute("SELECT id, noise FROM alerts").fetchall() == [("a-1", 0.5)]
        assert database.execute("SELECT count(*) FROM traces").fetchone() == (0,)
    database.close()


async def test_a_log_of_several_releases_ahead_is_used_as_long_as_none_of_them_broke_anything(path, clock):
    await lived_in(path, clock, 1)
    become(path, LAYOUT + 7, LEAST, ADDS)
    outbox = opened(path, clock)
    assert (await outbox.load_state("post:w1")) == {"seen": 1}
    await outbox.close()


async def test_what_the_next_release_put_into_bodies_is_passed_over_and_left_to_it(path, clock):
    await lived_in(path, clock, 1)
    become(path, LAYOUT + 1, LAYOUT, ADDS)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE commands SET reply=json_set(reply, '$.signed_by', 'desk-7')")
        database.execute("UPDATE alerts SET body=json_set(body, '$.noise', 0.5)")
        stuck = "json_set(body, '$.id', 'a-2', '$.kind', 'lift.stuck')"
        database.execute(f"INSERT INTO alerts (id, body) SELECT 'a-2', {stuck} FROM alerts")  # noqa: S608  # constants
    database.close()
    outbox = opened(path, clock)
    assert [one.id for one in await outbox.open_alerts()] == ["a-1"]
    again = await outbox.begin_command(Command("c-1", "ticket.print", clock.now(), {}))
    assert again is not None
    assert again.state is ReplyState.SUCCEEDED
    await outbox.append(alert(clock, AlertState.CLEARED))
    await outbox.close()
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT id FROM alerts").fetchall() == [("a-2",)]
    database.close()


@pytest.mark.parametrize(
    ("least", "script"),
    [
        (LAYOUT + 1, "ALTER TABLE log RENAME COLUMN body TO data;"),
        (LAYOUT + 1, "ALTER TABLE numbers RENAME TO counters; CREATE TABLE numbers (name TEXT PRIMARY KEY, value);"),
    ],
    ids=["a column has another name", "a table has another meaning"],
)
async def test_a_log_that_the_next_release_broke_is_refused_with_who_wrote_it_and_left_as_it_is(
    path, clock, least, script
):
    await lived_in(path, clock, 1)
    become(path, LAYOUT + 1, least, script)
    before = path.read_bytes()
    with pytest.raises(OutboxError) as refused:
        opened(path, clock)
    assert str(path) in refused.value.message
    assert f"layout {LAYOUT + 1}" in refused.value.message
    assert "hallctl 9.1.0: install that one again" in refused.value.hint
    assert path.read_bytes() == before
    assert list(path.parent.glob("*.corrupt-*")) == []


async def test_a_newer_log_that_does_not_say_what_is_enough_for_it_is_refused(path, clock):
    await lived_in(path, clock, 1)
    with sqlite3.connect(path) as database:
        database.executescript(f"DROP TABLE numbers; DROP TABLE state; PRAGMA user_version={LAYOUT + 1};")
    database.close()
    with pytest.raises(OutboxError, match=f"layout {LAYOUT + 1}") as refused:
        opened(path, clock)
    assert "a newer hallctl" in refused.value.hint


async def test_what_the_refusal_tells_a_technician_to_do_gives_a_box_that_runs_and_repeats_no_number(
    path, clock, tmp_path
):
    await lived_in(path, clock, 1)
    boot = opened(path, clock)
    last = boot.identity.boot
    await boot.close()
    become(path, LAYOUT + 1, LAYOUT + 1)
    aside = tmp_path / "aside"
    aside.mkdir()
    for name in ("outbox.db", "outbox.db-wal", "outbox.db-shm"):
        if (tmp_path / name).exists():
            shutil.move(tmp_path / name, aside / name)
    outbox = opened(path, clock)
    assert outbox.identity.boot == last + 1
    await outbox.close()


async def test_a_step_that_fails_half_way_leaves_the_older_layout(path, clock):
    await lived_in(path, clock, 1)
    with sqlite3.connect(path) as database:  # one of two columns is there, so the step fails
        database.executescript("ALTER TABLE commands DROP COLUMN data; PRAGMA user_version=1;")
    database.close()
    with pytest.raises(OutboxError, match="duplicate column name: untouched"):
        opened(path, clock)
    with sqlite3.connect(path) as database:
        columns = {row[1] for row in database.execute("PRAGMA table_info(commands)")}
        assert database.execute("PRAGMA user_version").fetchone()[0] == 1
    database.close()
    assert "data" not in columns
