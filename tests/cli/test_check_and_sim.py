"""`hallctl check` and `hallctl sim` as a technician meets them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from hallctl.cli.main import cli
from hallctl.driver import Simulator
from hallctl.twin import TwinStore
from hallctl.twin.record import Record, Ref, Trial
from hallctl.twin.store import Step

CONTROLLER = "site: hall\ncontroller: ctl-1\n"
HALL = "terminals:\n  - id: 屏\n    driver: onbon-bx\n    port: tcp://10.0.0.1:5005\n"


def write(tmp_path: Path, controller: str = CONTROLLER, hall: str = "version: 1\n") -> Path:
    (tmp_path / "hall.yaml").write_text(hall, encoding="utf-8")
    path = tmp_path / "controller.yaml"
    path.write_text(controller, encoding="utf-8")
    return path


def run(*args: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "hallctl.cli.main", *map(str, args)]
    return subprocess.run(command, capture_output=True, check=False, timeout=30, env={**os.environ, **(env or {})})


def test_a_right_configuration_exits_with_0(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["check", str(write(tmp_path))])
    assert (result.exit_code, "The configuration is right." in result.output) == (0, True)


def test_a_wrong_configuration_exits_with_78_and_names_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, hall="version: 1\nwindws: []\n")
    result = CliRunner().invoke(cli, ["check", str(path)])
    assert result.exit_code == 78
    assert f"{tmp_path}/hall.yaml:2: windws: unknown key 'windws'; did you mean 'windows'?" in result.output
    assert "Nothing of it can run." in result.output


def test_mistakes_of_both_documents_are_told_in_one_run(tmp_path: Path) -> None:
    controller = CONTROLLER + "broker: {host: a, password: {file: secret}}\n"
    result = CliRunner().invoke(cli, ["check", str(write(tmp_path, controller, HALL))])
    assert "secret: there is no such file" in result.output
    assert "hall.yaml:2: terminals/0/id: '屏' can't be an id" in result.output
    assert "2 mistakes." in result.output


def test_secret_files_can_be_left_for_the_box_to_check(tmp_path: Path) -> None:
    controller = CONTROLLER + "broker: {host: a, password: {file: secret}}\n"
    result = CliRunner().invoke(cli, ["check", "--documents-only", str(write(tmp_path, controller))])
    assert result.exit_code == 0


def test_a_key_that_others_may_read_is_a_mistake_unless_only_the_documents_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "identity.pem").write_text("key")
    (tmp_path / "identity.pem").chmod(0o644)
    path = str(write(tmp_path, CONTROLLER + "broker: {host: a, tls: {identity: identity.pem}}\n"))
    result = CliRunner().invoke(cli, ["check", "--json", path])
    (problem,) = json.loads(result.output)["problems"]
    assert (result.exit_code, problem["pointer"]) == (78, "/broker/tls/identity")
    assert problem["hint"] == f"chmod 600 {tmp_path / 'identity.pem'}"
    assert CliRunner().invoke(cli, ["check", "--documents-only", path]).exit_code == 0


def test_a_cameras_password_that_others_may_read_is_told_before_the_daemon_leaves_it_out(tmp_path: Path) -> None:
    secret = tmp_path / "camera"
    secret.write_text("geheim")
    secret.chmod(0o644)
    options = f"{{url: rtsp://192.0.2.1/x, username: admin, password: {{file: {secret}}}}}"
    path = str(write(tmp_path, hall=f"terminals:\n  - {{id: cam, driver: camera, options: {options}}}\n"))
    (advice,) = json.loads(CliRunner().invoke(cli, ["check", "--json", path]).output)["advice"]
    assert (advice["line"], advice["hint"]) == (2, f"chmod 600 {secret}")
    assert "geheim" not in advice["message"]
    secret.chmod(0o600)
    for arguments in (["check", "--json", path], ["check", "--json", "--documents-only", path]):
        assert json.loads(CliRunner().invoke(cli, arguments).output)["advice"] == []


def test_json_is_one_document_with_pointers(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["check", "--json", str(write(tmp_path, hall=HALL))])
    found = json.loads(result.output)
    assert result.exit_code == 78
    assert found["ok"] is False
    assert found["problems"][0]["pointer"] == "/terminals/0/id"
    assert found["problems"][0]["line"] == 2
    assert found["problems"][0]["fatal"] is False


def test_a_hall_document_can_be_checked_alone(tmp_path: Path) -> None:
    write(tmp_path, hall="version: 1\n")
    assert CliRunner().invoke(cli, ["check", "--hall", str(tmp_path / "hall.yaml")]).exit_code == 0


def test_a_hall_document_in_the_place_of_the_controllers_is_told_in_one_line(tmp_path: Path) -> None:
    write(tmp_path, hall="version: 1\nbuses: []\nterminals: []\n")
    result = CliRunner().invoke(cli, ["check", str(tmp_path / "hall.yaml")])
    assert result.exit_code == 78
    assert "is a hall document, not a controller.yaml (check it by itself: hallctl check --hall" in result.output
    assert "1 mistake." in result.output


def test_without_any_document_the_error_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HALLCTL_CONFIG", raising=False)
    result = CliRunner().invoke(cli, ["check"])
    assert result.exit_code == 78
    assert "hint: name it: --config FILE, or set HALLCTL_CONFIG" in result.output


def test_the_environment_names_the_document(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["check"], env={"HALLCTL_CONFIG": str(write(tmp_path))})
    assert result.exit_code == 0


def test_chinese_is_printed_in_a_c_locale(tmp_path: Path) -> None:
    path = write(tmp_path, hall=HALL)
    result = run("check", path, env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert result.returncode == 78
    assert "'屏' can't be an id" in result.stdout.decode()


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.startswith(b"hallctl ")


def test_wrong_usage_exits_with_2() -> None:
    assert run("check", "--nonsense").returncode == 2
    assert run("sim").returncode == 2
    assert run("sim", "onbon-bx").returncode == 2
    assert run("sim", "onbon-bx", "--listen", "here").returncode == 2
    assert run("sim", "onbon-bx", "--device", "ff68-pad:x", "--pty", "line").returncode == 2


def test_an_unknown_family_or_fault_is_told_with_what_there_is() -> None:
    unknown = run("sim", "onbom", "--listen", "127.0.0.1:0")
    assert unknown.returncode == 1
    assert b"installed drivers: " in unknown.stderr
    fault = run("sim", "onbon-bx", "--fault", "fire", "--listen", "127.0.0.1:0")
    assert fault.returncode == 78
    assert b"no fault is called 'fire'" in fault.stderr
    assert b"hint: faults of this simulator: " in fault.stderr


def test_sim_list_shows_each_family_with_its_faults() -> None:
    rows = [json.loads(line) for line in run("sim", "--list", "--json").stdout.splitlines()]
    faults = {row["family"]: row["faults"] for row in rows}
    assert "mute" in faults["onbon-bx"]


@contextmanager
def simulator(*args: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, "-m", "hallctl.cli.main", "sim", *map(str, args)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().decode().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_simulator_serves_on_the_address_it_prints_until_it_is_told_to_stop(number: int) -> None:
    with simulator("onbon-bx", "--listen", "127.0.0.1:0") as (process, address):
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        socket.create_connection((host, int(port)), timeout=10).close()
        process.send_signal(number)
        assert process.wait(10) == 0


def test_several_devices_share_one_pseudo_terminal(tmp_path: Path) -> None:
    link = tmp_path / "line"
    args = ("--pty", link, "--device", "ff68-pad:21", "--device", "ff68-pad:22:mute", "--json")
    with simulator(*args) as (process, address):
        assert json.loads(address) == {"address": str(link)}
        assert link.is_symlink()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert not link.is_symlink()


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("sim", "onbon-bx", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert result.returncode == 1
    assert b"error: 127.0.0.1:" in result.stderr
    assert b"Traceback" not in result.stderr


def test_what_a_simulated_printer_prints_and_refuses_can_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tickets"
    with simulator("escpos", "--listen", "127.0.0.1:0", "--draw", folder) as (process, address):
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as printer:
            printer.sendall(b"\x1b@A001\n\x1dVB\x00A002\n\x1dVB\x00\x1b\x7f" + b"\x1d(H\x06\x0000done")
            assert printer.recv(7, socket.MSG_WAITALL) == b"\x37\x22done\x00"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert errors == b"refused: unknown command 1B 7F\n"
    pictures = sorted(folder.iterdir())
    assert [path.name for path in pictures] == ["0001.png", "0002.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_a_folder_for_pictures_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("sim", "escpos", "--listen", "127.0.0.1:0", "--draw", tmp_path / "file" / "folder")
    assert result.returncode == 78
    assert b"hint: name a folder that can be made" in result.stderr


def test_a_display_gives_a_picture_whenever_it_shows_something_new_and_none_in_between() -> None:
    class Sign(Simulator):
        shows: bytes | None = None

        def draw(self) -> bytes | None:
            return self.shows

    sign, seen = Sign(), []
    for sign.shows in (None, b"A001", b"A001", b"A002", b"A001"):
        seen.append(sign.new_pictures())
    assert seen == [[], [b"A001"], [], [b"A002"], [b"A001"]]


def pushed(folder: Path, trial: Trial | None = None) -> None:
    ref = Ref(7, "ab" * 32)
    TwinStore(folder / "state" / "twin").save(Record(good=(ref,), trial=trial, known=ref), Step.KEEP)


def test_check_says_that_a_document_of_the_centre_runs_and_not_hall_yaml(tmp_path: Path) -> None:
    config = write(tmp_path)
    config.write_text(config.read_text() + "\nstate_dir: state\n")
    assert "centre" not in CliRunner().invoke(cli, ["check", str(config)]).output
    pushed(tmp_path)
    result = CliRunner().invoke(cli, ["check", str(config)])
    assert "The daemon runs version 7 of the centre's document (abababababab), not hall.yaml" in result.output
    pushed(tmp_path, Trial(Ref(8, "cd" * 32), 30.0, 0))
    shown = json.loads(CliRunner().invoke(cli, ["check", "--json", str(config)]).output)
    assert shown["running"] == {"source": "centre", "version": 8, "hash": "cd" * 32, "trial": True, "problem": ""}


def test_check_says_when_it_can_not_tell_which_document_runs_and_touches_nothing(tmp_path: Path) -> None:
    config = write(tmp_path)
    config.write_text(config.read_text() + "\nstate_dir: state\n")
    pushed(tmp_path)
    record = tmp_path / "state" / "twin" / "twin.json"
    record.write_bytes(b"{")
    result = CliRunner().invoke(cli, ["check", str(config)])
    assert "advice: which document runs can't be told" in result.output
    assert record.read_bytes() == b"{"
