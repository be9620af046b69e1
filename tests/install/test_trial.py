"""What an upgrade is judged by: trial.sh on a made-up box (its own folders, a systemctl that only answers)."""

import json
import os
import subprocess
from pathlib import Path

import pytest

TRIAL = Path(__file__).parents[2] / "scripts/bundle-parts/trial.sh"
SYSTEMCTL = """#!/bin/sh
case "$*" in
    *NRestarts*) echo 0 ;;
    is-active*) echo active ;;
    *Job*) ;;
    *) echo "$*" >> "$(dirname "$0")/asked" ;;
esac
"""
BEFORE = {"version": "2.0", "ready": True, "terminals": 6, "online": 5, "connected": True}


class Box:
    """An upgrade from 1.0 to 2.0 that is being watched."""

    def __init__(self, folder: Path) -> None:
        self.prefix, self.run, self.programs = folder / "opt", folder / "run", folder / "bin"
        installer = self.prefix / "1.0/installer"
        for made in (self.run, self.programs, installer):
            made.mkdir(parents=True)
        script = TRIAL.read_text(encoding="utf-8")
        self.trial = self.prefix / "trial.sh"
        self._program(
            self.trial, script.replace("/opt/hallctl", str(self.prefix)).replace("/run/hallctl", str(self.run))
        )
        self._program(self.programs / "systemctl", SYSTEMCTL)
        self._program(self.programs / "logger", "#!/bin/sh\n")
        self._program(installer / "install.sh", f'#!/bin/sh\necho "$*" >> {self.prefix}/activated\n')

    @staticmethod
    def _program(path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def watch(self, trial: str, **health: object) -> subprocess.CompletedProcess[str]:
        """Watch for two seconds a daemon that says this of itself."""
        (self.prefix / "trial").write_text(f"old=1.0\nnew=2.0\nwindow=2\n{trial}", encoding="ascii")
        (self.run / "health.json").write_text(json.dumps({**BEFORE, **health}) + "\n", encoding="utf-8")
        path = {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        return subprocess.run([self.trial, "watch"], env=path, capture_output=True, text=True, check=False)

    @property
    def went_back(self) -> bool:
        return (self.prefix / "activated").exists()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_version_that_is_as_good_as_the_old_one_stays(box: Box) -> None:
    done = box.watch("before=5\nconnected=true\n")
    assert (done.returncode, box.went_back) == (0, False)
    assert "version 2.0 is healthy: 5 of 6 terminals are online" in done.stdout
    assert not (box.prefix / "trial").exists()


def test_fewer_terminals_than_before_go_back(box: Box) -> None:
    done = box.watch("before=6\nconnected=true\n")
    assert (done.returncode, box.went_back) == (3, True)
    assert "going back to 1.0: 5 terminals are online, before the upgrade there were 6" in done.stdout


def test_a_version_that_does_not_reach_the_broker_goes_back_where_the_old_one_did(box: Box) -> None:
    done = box.watch("before=5\nconnected=true\n", connected=False)
    assert (done.returncode, box.went_back) == (3, True)
    assert "going back to 1.0: it has no connection to the broker, the old version had one" in done.stdout


@pytest.mark.parametrize("trial", ["before=5\nconnected=false\n", "before=5\n"])
def test_a_broker_that_was_not_there_before_is_not_asked_for(box: Box, trial: str) -> None:
    done = box.watch(trial, connected=False)
    assert (done.returncode, box.went_back) == (0, False)


def test_another_version_than_the_new_one_is_not_healthy(box: Box) -> None:
    done = box.watch("before=5\n", version="1.0")
    assert done.returncode == 3
    assert "version 1.0 runs instead of 2.0" in done.stdout
