"""The state directory is the daemon's alone, whatever it was started with, and by whom."""

import os
import stat
import subprocess
import sys

import pytest

from hallctl import statedir
from hallctl.errors import StateDirError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")


@pytest.fixture(autouse=True)
def _umask():
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_that_is_made_and_what_is_made_in_it_is_for_its_owner_only(tmp_path):
    os.umask(0)
    folder = tmp_path / "state" / "hallctl"
    statedir.take(folder)
    (folder / "outbox.db").write_text("x")
    (folder / "evidence").mkdir()
    assert [mode(path) for path in (folder, folder / "outbox.db", folder / "evidence")] == [0o700, 0o600, 0o700]


def test_a_folder_that_is_there_is_taken_as_it_is(tmp_path):
    tmp_path.chmod(0o750)
    statedir.take(tmp_path)
    assert mode(tmp_path) == 0o750


def test_a_folder_into_which_everybody_may_write_is_refused_with_the_command_that_mends_it(tmp_path):
    tmp_path.chmod(0o757)
    with pytest.raises(StateDirError) as refused:
        statedir.take(tmp_path)
    assert "0757" in refused.value.message
    assert refused.value.hint == f"chmod 700 {tmp_path}"


@as_root
def test_root_does_not_run_the_daemon_in_another_users_folder(tmp_path):
    os.chown(tmp_path, 1, 1)
    with pytest.raises(StateDirError) as refused:
        statedir.take(tmp_path)
    assert "runuser -u daemon" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_daemon_says_what_is_wrong_with_its_folder_and_asks_to_be_tried_again(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    (tmp_path / "hall.yaml").write_text("terminals: []\n")
    config = tmp_path / "controller.yaml"
    config.write_text("{site: hall-1, controller: box-1, state_dir: state}\n")
    done = subprocess.run(
        [sys.executable, "-m", "hallctl.cli.main", "run", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 75
    assert f"chmod 700 {state}" in done.stderr
    assert list(state.iterdir()) == []
