"""Whether the wall clock is known to be right, in a sandbox too."""

import os
import stat

import pytest

from hallctl import clock
from hallctl.clock import SystemClock


@pytest.fixture
def timedatectl(tmp_path, monkeypatch):
    """A ``timedatectl`` that says what the test wants, and a kernel that may not be asked."""
    monkeypatch.setattr(clock, "_adjtimex_status", lambda: None)
    monkeypatch.setattr(clock, "_timedated", clock._Timedated())
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    tool = tmp_path / "timedatectl"

    def says(script):
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        return tmp_path

    return says


def answered() -> bool:
    """Ask, let systemd answer, ask again."""
    SystemClock().synchronised()
    assert clock._timedated._asking is not None
    clock._timedated._asking.join()
    return SystemClock().synchronised()


def test_the_kernel_is_asked_first(monkeypatch):
    monkeypatch.setattr(clock, "_adjtimex_status", lambda: 0x0040)
    assert not SystemClock().synchronised()
    monkeypatch.setattr(clock, "_adjtimex_status", lambda: 0)
    assert SystemClock().synchronised()


def test_the_real_kernel_answers():
    assert clock._adjtimex_status() is not None


def test_where_the_kernel_may_not_be_asked_systemd_is(timedatectl):
    timedatectl('[ "$2" = --property=NTPSynchronized ] && echo no')
    assert not answered()


def test_nothing_waits_for_systemds_answer(timedatectl):
    folder = timedatectl('read go < "$(dirname "$0")/go"; echo no')
    os.mkfifo(folder / "go")
    assert SystemClock().synchronised()  # it has not answered yet
    (folder / "go").write_text("go\n")
    assert not answered()


def test_systemds_answer_is_kept_for_a_while(timedatectl):
    folder = timedatectl('echo x >> "$(dirname "$0")/asked"; echo yes')
    assert [answered() for _ in range(5)] == [True] * 5
    assert (folder / "asked").read_text() == "x\n"


@pytest.mark.parametrize("script", ["exit 1", "echo", "kill -9 $$"])
def test_a_systemd_that_does_not_know_counts_as_synchronised(timedatectl, script):
    timedatectl(script)
    assert answered()


def test_a_clock_that_is_trusted_is_never_asked_about(monkeypatch):
    monkeypatch.setattr(clock, "_adjtimex_status", lambda: 0x0040)
    assert SystemClock(trust_wall_clock=True).synchronised()
