"""``hallctl enroll`` as people use it: on a box, at the centre, and over MQTT through a guarded mosquitto."""

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from security.hall_pki import GuardedBroker, Pki

from hallctl.cli.main import cli
from hallctl.enroll import Identity
from hallctl.link import Tls, Topics

pytestmark = pytest.mark.rule("MQ-26")


@pytest.fixture
def box(tmp_path, guarded: GuardedBroker, pki: Pki) -> Path:
    """A controller.yaml that names an identity."""
    folder = tmp_path / "box"
    folder.mkdir()
    tls = {"ca_file": str(pki.ca_file), "identity": "identity.pem"}
    document = {"site": "gulou", "controller": "box-1", "state_dir": "state", "trust_clock": True, "heartbeat_s": 1}
    document |= {"lease_s": 5, "broker": {"host": guarded.host, "port": guarded.machines, "tls": tls}}
    (folder / "controller.yaml").write_text(yaml.safe_dump(document))
    (folder / "hall.yaml").write_text("version: 1\n")
    return folder / "controller.yaml"


def run(*args: str, code: int = 0, **more):
    result = CliRunner().invoke(cli, [*map(str, args)], **more)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


async def hallctl(*args: str, **env: str) -> "asyncio.subprocess.Process":
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hallctl.cli.main",
        *map(str, args),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **env},
    )


async def ended(process, seconds: float = 30) -> Ran:
    async with asyncio.timeout(seconds):
        out, err = await process.communicate()
    return Ran(process.returncode, out.decode(), err.decode())


def desk_of(guarded: GuardedBroker, pki: Pki, name: str) -> list[str]:
    return [
        "--broker",
        f"mqtts://localhost:{guarded.desks}",
        "--cafile",
        str(pki.ca_file),
        "--cert",
        str(pki.issue(name)),
    ]


def test_by_files_from_the_key_to_the_certificate_in_place(tmp_path: Path) -> None:
    ca, box = tmp_path / "ca", tmp_path / "controller.yaml"
    box.write_text("site: gulou\ncontroller: box-1\nbroker: {host: mq, tls: {ca_file: ca/ca.pem, identity: id.pem}}\n")
    run("enroll", "ca-init", ca)
    asked = run("enroll", "request", "--config", box, "--csr", tmp_path / "box.csr", "--json")
    told = json.loads(asked.stdout)
    assert told["name"] == "gulou/box-1"
    assert run("enroll", "status", "--config", box, code=1).stdout.startswith("gulou/box-1: there is no certificate")
    signed = run("enroll", "sign", tmp_path / "box.csr", "--ca", ca, "-o", tmp_path / "box.crt", "--by", "li@desk")
    assert told["fingerprint"] in signed.stderr
    installed = run("enroll", "install", tmp_path / "box.crt", "--config", box)
    assert "certificate of gulou/box-1" in installed.stdout
    status = json.loads(run("enroll", "status", "--config", box, "--json").stdout)
    assert status["request"] is None
    assert 364 < status["certificate"]["days_left"] <= 365
    assert status["certificate"]["fingerprint"] == told["fingerprint"]
    (entry,) = [json.loads(line) for line in run("enroll", "list", "--ca", ca, "--json").stdout.splitlines()]
    assert (entry["name"], entry["by"], entry["holds"]) == ("gulou/box-1", "li@desk", True)
    assert "revoked: gulou/box-1" in run("enroll", "revoke", "gulou/box-1", "--ca", ca, "--reason", "stolen").stdout
    assert run("enroll", "list", "--ca", ca, "--json").stdout == ""
    assert "stolen" in run("enroll", "list", "--ca", ca, "--all").stdout
    assert "user gulou/box-1\ntopic deny #" in run("enroll", "acl", "--ca", ca).stdout


def test_people_and_brokers_get_theirs_in_the_same_way(tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    run("enroll", "ca-init", ca)
    for name, more in (("operator:lina", []), ("broker:mq-1", ["--host", "mqtt.example.org"])):
        pem, csr, crt = (tmp_path / f"{name[:3]}.{end}" for end in ("pem", "csr", "crt"))
        run("enroll", "request", "--name", name, "--identity", pem, "--csr", csr, *more)
        run("enroll", "sign", csr, "--ca", ca, "-o", crt)
        run("enroll", "install", crt, "--name", name, "--identity", pem, "--cafile", ca / "ca.pem")
        assert Identity(pem).current().name == name
    assert "user operator:lina" in run("enroll", "acl", "--ca", ca).stdout


def test_what_can_not_be_done_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "controller.yaml").write_text("site: gulou\ncontroller: box-1\n")
    result = run("enroll", "request", "--config", tmp_path / "controller.yaml", code=78)
    assert "names no identity" in result.stderr
    assert "identity.pem" in result.stderr
    assert "is no name" in run("enroll", "request", "--name", "root", code=1).stderr
    assert "there is no CA" in run("enroll", "list", "--ca", tmp_path / "no", code=1).stderr
    assert "there is no" in run("enroll", "sign", tmp_path / "no.csr", "--ca", tmp_path, code=1).stderr


async def test_the_first_certificate_comes_over_mqtt_with_a_bootstrap_credential(
    box: Path, guarded: GuardedBroker, pki: Pki
) -> None:
    ca = ["--ca", str(pki.folder / "ca")]
    registrar = desk_of(guarded, pki, "registrar:ca")
    asking = await hallctl(
        "enroll", "request", "--config", box, "--send", *desk_of(guarded, pki, "bootstrap:new-boxes")
    )
    rows = []
    async with asyncio.timeout(30):
        while not rows:
            listed = await ended(await hallctl("enroll", "pending", "--json", *ca, *registrar))
            rows = [json.loads(line) for line in listed.out.splitlines()]
    assert [(row["box"], row["wrong"]) for row in rows] == [("gulou/box-1", "")]
    other = await ended(
        await hallctl("enroll", "approve", "gulou/box-1", "--fingerprint", "0000-1111", *ca, *registrar)
    )
    assert other.code == 1
    assert "which is another one" in other.err
    assert pki.ca.find("gulou/box-1") == []
    approve = ["enroll", "approve", "gulou/box-1", "--fingerprint", rows[0]["fingerprint"].upper()]
    approved = await ended(await hallctl(*approve, *ca, *registrar, HALLCTL_BY="李娜"))
    assert "signed and published" in approved.out
    got = await ended(asking)
    assert got.code == 0, got.err
    assert rows[0]["fingerprint"] in got.err
    assert "certificate of gulou/box-1" in got.out
    assert pki.ca.find("gulou/box-1")[0].by == "李娜"
    assert "Nobody waits." in (await ended(await hallctl("enroll", "pending", *ca, *registrar))).out
    session = guarded.session(Tls(pki.ca_file, box.parent / "identity.pem"))
    await session.connect()
    await session.publish(Topics("gulou", "box-1").state, b"{}")
    await session.disconnect()


async def test_a_box_that_the_desk_refuses_says_so(box: Path, guarded: GuardedBroker, pki: Pki) -> None:
    ca = ["--ca", str(pki.folder / "ca")]
    asking = await hallctl(
        "enroll", "request", "--config", box, "--send", *desk_of(guarded, pki, "bootstrap:new-boxes")
    )
    registrar = desk_of(guarded, pki, "registrar:ca")
    refuse = ["enroll", "refuse", "gulou/box-1", "--message", "unknown box", *ca, *registrar]
    async with asyncio.timeout(40):
        while (await ended(await hallctl(*refuse))).code != 0:
            pass
    got = await ended(asking)
    assert got.code == 1
    assert "the desk refuses: unknown box" in got.err


async def test_nobody_answers_and_the_box_says_where_its_request_waits(
    box: Path, guarded: GuardedBroker, pki: Pki
) -> None:
    bootstrap = desk_of(guarded, pki, "bootstrap:new-boxes")
    got = await ended(await hallctl("enroll", "request", "--config", box, "--send", "--wait", "0.2", *bootstrap))
    assert got.code == 1
    assert "the request waits at the broker" in got.err


async def test_a_credential_without_the_right_is_told_so(box: Path, guarded: GuardedBroker, pki: Pki) -> None:
    supervisor = desk_of(guarded, pki, "supervisor:wang")
    got = await ended(await hallctl("enroll", "request", "--config", box, "--send", *supervisor))
    assert got.code == 1
    assert "the broker refuses to take hall/v1/gulou/box-1/enroll/request" in got.err
    assert "access list" in got.err


async def test_serve_renews_for_a_daemon_and_ends_when_it_is_told(box: Path, guarded: GuardedBroker, pki: Pki) -> None:
    """The real daemon, whose certificate is past two thirds of its life, and the real desk."""
    old = pki.issue("gulou/box-1", at=datetime.now(UTC) - timedelta(days=8), days=10)
    (box.parent / "identity.pem").write_bytes(old.read_bytes())
    (box.parent / "identity.pem").chmod(0o600)
    identity = Identity(box.parent / "identity.pem")
    serial = identity.current().serial
    ca = ["--ca", str(pki.folder / "ca")]
    serving = await hallctl("enroll", "serve", "--json", *ca, *desk_of(guarded, pki, "registrar:ca"))
    daemon = await hallctl("run", box)
    try:
        async with asyncio.timeout(40):
            while identity.current().serial == serial or identity.on_trial:
                await asyncio.sleep(0.05)
        line = json.loads(await serving.stdout.readline())
        assert (line["box"], line["result"], line["renews"]) == ("gulou/box-1", "renewed", serial)
    finally:
        serving.terminate()
        daemon.terminate()
    told, done = await ended(daemon), await ended(serving)
    assert done.code == 0, done.err
    assert told.code == 0, told.err
    assert "the broker has taken the new certificate" in told.err
    assert not re.search("PRIVATE", told.err + told.out + done.err + done.out)


@pytest.mark.rule("MQ-24")
async def test_the_daemon_tells_in_its_log_what_the_broker_denies(box: Path, guarded: GuardedBroker, pki: Pki) -> None:
    """Its certificate is for another box than its controller.yaml."""
    stranger = pki.issue("gulou/box-7")
    (box.parent / "identity.pem").write_bytes(stranger.read_bytes())
    (box.parent / "identity.pem").chmod(0o600)
    daemon = await hallctl("run", box)
    try:
        async with asyncio.timeout(30):
            while b"the broker refuses to take hall/v1/gulou/box-1/state" not in (
                line := await daemon.stderr.readline()
            ):
                assert line, "the daemon ended"
        assert b"access list" in line
    finally:
        daemon.terminate()
    assert (await ended(daemon)).code == 0


async def test_the_box_certificate_is_not_used_by_people_who_would_throw_the_daemon_out(
    box: Path, guarded: GuardedBroker, pki: Pki
) -> None:
    (box.parent / "identity.pem").write_bytes(pki.issue("gulou/box-1").read_bytes())
    got = await ended(await hallctl("status", "--config", box))
    assert got.code == 78
    assert "this box's certificate is for its daemon" in got.err
    assert "--cert" in got.err
    variables = {"HALLCTL_CERT": str(pki.issue("operator:lina"))}
    broker = ["--broker", f"mqtts://localhost:{guarded.desks}", "--cafile", str(pki.ca_file)]
    assert "no controller" in (await ended(await hallctl("status", *broker, **variables))).err


@pytest.mark.rule("MQ-24")
async def test_a_supervisor_who_calls_a_number_is_told_that_the_broker_denies_it(
    guarded: GuardedBroker, pki: Pki
) -> None:
    desk = [*desk_of(guarded, pki, "supervisor:wang"), "--site", "gulou", "--controller", "box-1"]
    got = await ended(await hallctl("call", "w1", "A001", *desk))
    assert got.code == 1
    assert "the broker refuses to take hall/v1/gulou/box-1/command/number.call" in got.err
    assert "access list" in got.err
