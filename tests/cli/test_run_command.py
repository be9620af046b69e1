"""`hallctl run` as systemd starts and stops it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

CONTROLLER = "site: hall\ncontroller: ctl-1\nstate_dir: state\n"


def command(path: Path) -> list[str]:
    return [sys.executable, "-m", "hallctl.cli.main", "run", str(path)]


def test_a_wrong_configuration_ends_the_daemon_with_78_and_its_line(tmp_path: Path) -> None:
    path = tmp_path / "controller.yaml"
    path.write_text(CONTROLLER + "stat_dir: x\n")
    result = subprocess.run(command(path), capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 78
    assert "controller.yaml:4: stat_dir: unknown key 'stat_dir'; did you mean 'state_dir'?" in result.stderr


def test_the_daemon_runs_an_empty_hall_until_it_is_told_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "controller.yaml"
    path.write_text(CONTROLLER)
    (tmp_path / "hall.yaml").write_text("version: 1\n")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    with (
        notify,
        (tmp_path / "log").open("w+") as log,
        subprocess.Popen(
            command(path), stderr=log, env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        ) as process,
    ):
        notify.settimeout(20)
        try:
            said = [notify.recv(100)]
            while said[-1] != b"READY=1":  # how many terminals are online is told as well, from the start on
                said.append(notify.recv(100))
            assert b"WATCHDOG=1" not in said, "nobody has asked for it"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, (tmp_path / "log").read_text()
        finally:
            process.kill()
