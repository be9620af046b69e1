"""controller.yaml and the secrets that it names."""

import os
from pathlib import Path

import pytest

from hallctl.config import ConfigErrors, SecretRef, check_private, load_controller, resolve
from hallctl.errors import ConfigError

GOOD = """\
site: hall
controller: ctl-1
broker:
  host: broker
  password: {file: secret}
state_dir: state
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "controller.yaml"
    path.write_text(text)
    return path


def test_relative_paths_are_seen_from_the_document(tmp_path: Path) -> None:
    config = load_controller(write(tmp_path, GOOD))
    assert config.hall == tmp_path / "hall.yaml"
    assert config.state_dir == tmp_path / "state"
    assert config.broker is not None
    assert config.broker.password == SecretRef(file=tmp_path / "secret")


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("controller: ctl-1", "controler: ctl-1"), 2, "unknown key 'controler'; did you mean 'controller'?"),
        (("ctl-1", "Ctl 1"), 2, "'Ctl 1' can't be an id"),
        (("{file: secret}", "{file: secret, env: SECRET}"), 5, "either in a file or in a variable"),
        (("{file: secret}", "hunter2"), 5, "'hunter2' stands where a map"),
        (("host: broker", "host: broker\n  tls:"), 5, "nothing is written after 'tls:'"),
        (("host: broker", "host: broker\n  port: 99999"), 5, "99999 is out of range: at most 65535"),
        (("host: broker", "host: broker\n  protocol: 5.0"), 5, "5.0 is not possible"),
        (("host: broker", "host: broker\n  tls: {cert_file: a}"), 5, "mutual TLS needs cert_file and key_file"),
    ],
)
def test_a_mistake_is_told_in_its_line(tmp_path: Path, change: tuple[str, str], line: int, words: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_controller(write(tmp_path, GOOD.replace(*change)))
    assert words in str(caught.value)
    assert line in [error.line for error in caught.value.errors]


def test_a_lease_shorter_than_the_heartbeat_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="is not longer than heartbeat_s"):
        load_controller(write(tmp_path, GOOD + "lease_s: 10\nheartbeat_s: 10\n"))


def test_the_protocol_may_be_written_without_quotes(tmp_path: Path) -> None:
    config = load_controller(write(tmp_path, GOOD.replace("host: broker", "host: broker\n  protocol: 5")))
    assert config.broker is not None
    assert config.broker.protocol == "5"


def test_a_secret_file_gives_its_text_without_the_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(" pass word \n")
    path.chmod(0o600)
    assert resolve(SecretRef(file=path)) == " pass word "


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_secret_that_others_may_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode 0{mode:o}") as caught:
        resolve(SecretRef(file=path))
    assert caught.value.hint == f"chmod 600 {path}"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe\xfd", "UTF-8"), (b"x" * 70_000, "too long")]
)
def test_a_file_that_can_be_no_secret_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=words):
        resolve(SecretRef(file=path))


def test_a_secret_is_no_folder_and_no_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (tmp_path, pipe):
        with pytest.raises(ConfigError, match="not a plain file"):
            resolve(SecretRef(file=path))


def test_an_absent_secret_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        resolve(SecretRef(file=tmp_path / "secret"))


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALL_PASSWORD", "hunter2")
    assert resolve(SecretRef(env="HALL_PASSWORD")) == "hunter2"
    monkeypatch.delenv("HALL_PASSWORD")
    with pytest.raises(ConfigError, match="HALL_PASSWORD is not set"):
        resolve(SecretRef(env="HALL_PASSWORD"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_private_key_that_others_may_use_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "key.pem"
    key.write_text("key")
    key.chmod(mode)
    with pytest.raises(ConfigError, match="others than its owner") as caught:
        check_private(key)
    assert caught.value.hint == f"chmod 600 {key}"
    key.chmod(0o400)
    check_private(key)


def test_a_private_key_that_is_not_there_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    check_private(tmp_path / "key.pem")
