"""The bundle of a box: what is in it, and that none of the secrets is, which the test has put into every place."""

import base64
import json
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from hallctl_drivers.escpos.sim import EscposSimulator
from local_box import Box

from hallctl import logs
from hallctl.driver import on_tcp
from hallctl.trace import read_trace

LAYOUT = {"id": "queue", "lines": [{"text": "{number}"}]}
SECRETS = {
    "the broker's password, in a file": "brokerFile#77/密",
    "the camera's password, in a variable": "cameraEnv#88+x",
    "a password in a URL": "urlPass77word",
    "a password in a vendor's options": "vendor-Option-99",
    "an old one in a comment": "old-Comment-33",
    "a variable of the shell": "shell-Token-55",
    "a key": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
}


@pytest.fixture
def log():
    before = structlog.get_config()
    logs.configure("info", json_lines=True)
    logs.RECENT._events.clear()
    yield structlog.get_logger()
    structlog.configure(**before)


@pytest.fixture
def broken_box(tmp_path, monkeypatch):
    """A box with a secret wherever one may be put, or may slip to."""
    monkeypatch.setenv("HALLCTL_TEST_CAMERA", SECRETS["the camera's password, in a variable"])
    monkeypatch.setenv("HALLCTL_BROKER_PASSWORD", SECRETS["a variable of the shell"])
    monkeypatch.chdir(tmp_path)
    password = tmp_path / "broker-password"
    password.write_text(SECRETS["the broker's password, in a file"] + "\n")
    password.chmod(0o600)
    key = tmp_path / "identity.pem"
    key.write_text(f"-----BEGIN PRIVATE KEY-----\n{SECRETS['a key']}\n-----END PRIVATE KEY-----\n")
    key.chmod(0o600)
    return Box(tmp_path)


def hall_of(url: str) -> dict:
    camera = {"username": "li", "password": {"env": "HALLCTL_TEST_CAMERA"}}
    in_url = f"rtsp://li:{SECRETS['a password in a URL']}@127.0.0.1:9/x"
    options = {"poll_every_s": 60}
    return {
        "terminals": [
            {"id": "printer-1", "driver": "escpos", "port": url, "options": options},
            {"id": "eye", "driver": "camera", "options": {"url": "rtsp://127.0.0.1:9/x", **camera}},
            {"id": "eye-2", "driver": "camera", "options": {"url": in_url}},
            {
                "id": "odd",
                "driver": "onbon-bx",
                "port": "tcp://127.0.0.1:9",
                "options": {"password": SECRETS["a password in a vendor's options"]},
            },
        ],
        "tickets": [LAYOUT],
    }


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2]: archive.extractfile(member).read() for member in archive.getmembers()}


def forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    coded = {base64.b64encode(b"\0" * before + raw)[4 * bool(before) : -4] for before in range(3)}
    return {raw, raw.hex().encode(), raw.hex(" ").encode(), quote(raw, safe="").encode(), *coded}


async def packed(box: Box, folder: Path) -> tuple[dict[str, bytes], object]:
    ran = await box.hallctl("support-bundle", "--out", str(folder / "bundle.tar.gz"), "--no-probe")
    assert ran.exit_code == 0, ran.stderr
    return members(folder / "bundle.tar.gz"), ran


async def test_no_secret_is_in_any_member_in_any_form(broken_box, log, tmp_path) -> None:
    async with on_tcp(EscposSimulator()) as url:
        box = broken_box
        broker = {"host": "127.0.0.1", "port": 1, "username": "box", "password": {"file": "broker-password"}}
        box.write(hall_of(url), broker=broker | {"tls": {"identity": "identity.pem"}})
        hall = box.folder / "hall.yaml"
        hall.write_text(hall.read_text() + f"# password was: {SECRETS['an old one in a comment']}\n")
        async with box.running():
            for what, secret in SECRETS.items():  # as a careless driver would log it
                log.warning("login failed", what=what, url=f"rtsp://li:{quote(secret)}@cam", said=secret)
                log.info("sent", frame=secret.encode().hex(), coded=base64.b64encode(f"li:{secret}".encode()).decode())
            await box.hallctl("ticket", "print", "number=" + SECRETS["the camera's password, in a variable"])
            found, _ = await packed(box, tmp_path)
    leaks = [
        f"{what} in {name} as {form!r}"
        for what, secret in SECRETS.items()
        for form in forms(secret)
        for name, data in found.items()
        if form in data
    ]
    assert leaks == []
    everything = b"".join(found.values())
    assert everything.count(b"login failed") >= len(SECRETS) - 1
    assert b"HALLCTL_TEST_CAMERA" in found["config/hall.yaml"]  # a reference is no secret


async def test_state_log_events_traces_and_facts_of_the_box_are_in_it(broken_box, log, tmp_path) -> None:
    async with on_tcp(EscposSimulator()) as url:
        box = broken_box
        box.write(hall_of(url))
        async with box.running():
            await box.hallctl("ticket", "print", "number=A015")
            found, ran = await packed(box, tmp_path)
    assert ran.stdout.strip() == str(tmp_path / "bundle.tar.gz")
    assert (tmp_path / "bundle.tar.gz").stat().st_mode & 0o777 == 0o600
    look = json.loads(found["state/look.json"])
    assert "printer-1" in {one["id"] for one in look["terminals"]}
    assert b"ticket.printed" in found["events.jsonl"]
    assert b"terminal online" in found["log/recent.jsonl"]
    trace = read_trace(found["traces/printer-1.trace"].decode().splitlines())
    assert (trace.header.driver, trace.problems) == ("escpos", ())
    assert b"A015" in b"".join(bytes.fromhex(record.data) for record in trace.records)
    assert {"findings", "facts"} <= json.loads(found["diagnose.json"]).keys()
    assert found["system/versions.txt"].startswith(b"hallctl ")
    manifest = json.loads(found["manifest.json"])
    assert manifest["members"].keys() == found.keys() - {"manifest.json"}
    assert all(json.loads(line) for line in found["state/retained.jsonl"].splitlines())


async def test_without_a_daemon_the_rest_is_packed_and_says_why(broken_box, tmp_path) -> None:
    broken_box.write({})
    found, ran = await packed(broken_box, tmp_path)
    assert "the daemon is not running" in ran.stderr
    assert "config/controller.yaml" in found
    assert "the daemon is not running" in json.loads(found["manifest.json"])["problems"][-1]
    assert json.loads(found["diagnose.json"])["findings"]


async def test_a_secret_that_can_not_be_read_is_named_so_that_nobody_relies_on_it(broken_box, tmp_path) -> None:
    camera = {"url": "rtsp://127.0.0.1:9/x", "password": {"file": "/nonexistent/camera-password"}}
    broken_box.write({"terminals": [{"id": "eye", "driver": "camera", "options": camera}]})
    _, ran = await packed(broken_box, tmp_path)
    assert "/nonexistent/camera-password: No such file or directory" in ran.stderr


async def test_a_file_that_is_there_is_not_overwritten_and_no_half_one_is_left(broken_box, tmp_path) -> None:
    broken_box.write({})
    out = tmp_path / "bundle.tar.gz"
    out.write_text("precious")
    ran = await broken_box.hallctl("support-bundle", "--out", str(out))
    assert ran.exit_code == 1
    assert "it is there already" in ran.stderr
    assert out.read_text() == "precious"
    nowhere = await broken_box.hallctl("support-bundle", "--out", str(tmp_path / "absent" / "x.tar.gz"))
    assert (nowhere.exit_code, (tmp_path / "absent").exists()) == (1, False)
    assert "hint: name another file" in nowhere.stderr
