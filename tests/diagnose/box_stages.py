"""What takes the whole box along: broker, clock, disk, documents, a daemon that does not run."""

import asyncio
import contextlib
import os
import socket
import subprocess
from contextlib import asynccontextmanager

import pytest
from conftest import MOSQUITTO
from diagnose.staging import stage
from security.hall_pki import GuardedBroker, Pki

from hallctl.clock import SystemClock
from hallctl.link import Topics
from hallctl.link.configuration import Desired, document_hash

TOPICS = Topics("hall", "box")


class NoTime(SystemClock):
    """Nobody has told this box what time it is."""

    def synchronised(self):
        return False


@stage("broker down", "the centre does not hear this box: nothing listens at", "link.refused", terminal=None)
@asynccontextmanager
async def broker_down(box, stand):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        box.write({}, broker={"host": "127.0.0.1", "port": free.getsockname()[1]})
        yield box.link_lost


@stage("broker's name gone from DNS", "the broker's name in mq.invalid:1883", "link.unresolved", terminal=None)
@asynccontextmanager
async def broker_name(box, stand):
    box.write({}, broker={"host": "mq.invalid"})
    yield box.link_lost


@stage("broker refuses the password", "refuses us:", "link.denied", terminal=None)
@asynccontextmanager
async def wrong_password(box, stand):
    broker = stand.request.getfixturevalue("make_broker")("mosquitto")
    broker.stop()
    (broker.folder / "passwords").write_text("")
    broker.extra = f"allow_anonymous false\npassword_file {broker.folder / 'passwords'}"
    broker.start()
    box.write({}, broker={"host": "127.0.0.1", "port": broker.port, "username": "box"})
    yield box.link_lost


@asynccontextmanager
async def guarded(box):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: scripts/test installs it")
    pki = Pki(box.folder / "pki")
    broker = GuardedBroker(box.folder / "broker", pki)
    broker.start()
    try:
        yield broker, pki
    finally:
        broker.stop()


@stage(
    "broker refuses the certificate",
    "does not trust the CA that signed our certificate",
    "link.certificate",
    terminal=None,
)
@asynccontextmanager
async def certificate_refused(box, stand):
    async with guarded(box) as (broker, pki):
        stranger = Pki(box.folder / "other").issue("hall/box")
        tls = {"ca_file": str(pki.ca_file), "identity": str(stranger)}
        box.write({}, broker={"host": "localhost", "port": broker.machines, "tls": tls})
        yield box.link_lost


@stage("broker's own certificate not trusted", "not signed by an authority", "link.untrusted", terminal=None)
@asynccontextmanager
async def broker_untrusted(box, stand):
    async with guarded(box) as (broker, pki):
        other = Pki(box.folder / "other")
        tls = {"ca_file": str(other.ca_file), "identity": str(pki.issue("hall/box"))}
        box.write({}, broker={"host": "localhost", "port": broker.machines, "tls": tls})
        yield box.link_lost


@stage("clock wrong", "the clock is not synchronised", "clock.unsynchronised", terminal=None)
@asynccontextmanager
async def no_time(box, stand):
    box.clock = NoTime()
    box.write({})
    yield


@stage("disk full", "the disk is nearly full:", "disk.full", terminal=None)
@asynccontextmanager
async def disk_full(box, stand):
    state = box.folder / "state"
    state.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "none", str(state)]
    if (await asyncio.to_thread(subprocess.run, mount, check=False)).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        box.write({})
        yield
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "-l", str(state)], check=True)


@stage("document of the centre refused", "of the centre's document was refused", "config.invalid", terminal=None)
@asynccontextmanager
async def refused_document(box, stand):
    box.write({})
    document = {"version": 7, "windws": []}

    async def push():
        await box.controller._take_desired(
            Desired(version=7, hash=document_hash(document), document=document).encode(1 << 20)
        )
        await box.reported("rejected")

    yield push


@stage("daemon not running", "the daemon is not running", "local.absent", terminal=None, daemon=False)
@asynccontextmanager
async def not_running(box, stand):
    box.write({})
    yield


@stage("daemon was killed", "nobody listens at", "local.stale", terminal=None, daemon=False)
@asynccontextmanager
async def killed(box, stand):
    box.write({})
    (box.folder / "state").mkdir()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(box.folder / "state" / "control.sock"))
    yield


@stage("hall.yaml wrong", "hall.yaml:1", "config.invalid", terminal=None, daemon=False)
@asynccontextmanager
async def wrong_document(box, stand):
    box.write("terminals: [{id: p1\n")
    yield
