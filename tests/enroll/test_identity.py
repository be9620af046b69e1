"""A box's identity: the key stays, the certificate is checked, and whatever kills the process leaves a whole pair."""

import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hallctl.enroll import Identity, files
from hallctl.enroll.authority import Authority
from hallctl.enroll.identity import read_anchors
from hallctl.enroll.keys import certificate_pem, read_csr
from hallctl.errors import EnrollError
from hallctl.link import Tls
from hallctl.link.tls import tls_context

pytestmark = pytest.mark.rule("MQ-26")

NAME = "gulou/box-1"
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
def ca(tmp_path):
    return Authority.create(tmp_path / "ca", "test CA", NOW - timedelta(days=10))


@pytest.fixture
def identity(tmp_path):
    return Identity(tmp_path / "box" / "identity.pem")


def signed(ca, asked, now=NOW, days=30.0):
    return ca.sign(read_csr(asked.csr, "csr"), now, by="test", days=days).encode()


def install(identity, ca, pem, now=NOW, name=NAME):
    return identity.install(pem, "cert", name=name, anchors=[ca.certificate], now=now)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_is_made_here_for_its_owner_only_and_is_not_in_the_request(identity):
    asked = identity.ask(NAME)
    key = identity.path.with_name("identity.pem.next")
    assert mode(key) == 0o600
    assert mode(key.parent) == 0o700
    assert b"PRIVATE KEY" in key.read_bytes()
    assert b"PRIVATE" not in asked.csr
    assert read_csr(asked.csr, "csr").common_name == NAME


def test_the_request_stays_the_same_until_it_is_answered(identity, ca):
    first = identity.ask(NAME)
    assert identity.ask(NAME) == first == identity.asked()
    assert identity.ask(NAME, anew=True).fingerprint != first.fingerprint
    assert identity.ask("gulou/box-2").name == "gulou/box-2"


def test_a_certificate_goes_into_one_file_with_its_key_and_the_request_is_over(identity, ca):
    asked = identity.ask(NAME)
    pair = install(identity, ca, signed(ca, asked))
    assert (pair.name, pair.lifetime[1]) == (NAME, NOW + timedelta(days=30))
    assert mode(identity.path) == 0o600
    assert identity.asked() is None
    assert sorted(one.name for one in identity.path.parent.iterdir()) == [".identity.pem.lock", "identity.pem"]
    assert isinstance(tls_context(Tls(None, identity.path)), ssl.SSLContext)
    assert not identity.on_trial


def test_a_renewal_keeps_the_pair_before_until_it_is_confirmed(identity, ca):
    first = install(identity, ca, signed(ca, identity.ask(NAME)))
    second = install(identity, ca, signed(ca, identity.ask(NAME)))
    assert identity.on_trial
    assert identity.go_back(NOW).serial == first.serial
    third = install(identity, ca, signed(ca, identity.ask(NAME)))
    install(identity, ca, signed(ca, identity.ask(NAME)))
    assert identity.go_back(NOW).serial == first.serial  # neither of the two was ever taken by the broker
    install(identity, ca, signed(ca, identity.ask(NAME)))
    identity.confirm()
    assert identity.go_back(NOW) is None
    assert identity.current().serial not in (first.serial, second.serial, third.serial)


def test_nobody_goes_back_to_a_certificate_that_has_expired(identity, ca):
    install(identity, ca, signed(ca, identity.ask(NAME), days=1))
    late = NOW + timedelta(days=2)
    new = install(identity, ca, signed(ca, identity.ask(NAME), now=late), now=late)
    assert identity.go_back(late) is None
    assert identity.current().serial == new.serial


def test_what_is_wrong_with_a_certificate_is_said_and_nothing_changes(identity, ca, tmp_path):
    other = Identity(tmp_path / "other.pem")
    wrong = {
        "it does not belong to this box's key": signed(ca, other.ask(NAME)),
        "it is for 'gulou/box-2', this is 'gulou/box-1'": signed(ca, identity.ask("gulou/box-2")),
    }
    for words, pem in wrong.items():
        with pytest.raises(EnrollError, match="can't be used") as caught:
            install(identity, ca, pem)
        assert words in caught.value.message
        assert caught.value.hint
    assert identity.current() is None


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "it begins to hold at"), (31, "it has expired at")], ids=["early", "late"]
)
def test_a_certificate_out_of_its_dates_is_not_installed_and_the_clock_is_asked_after(identity, ca, days, words):
    pem = signed(ca, identity.ask(NAME))
    with pytest.raises(EnrollError, match=words) as caught:
        install(identity, ca, pem, now=NOW + timedelta(days=days))
    assert "clock" in caught.value.hint


def test_the_chain_has_to_lead_to_a_trusted_ca(identity, ca, tmp_path):
    other = Authority.create(tmp_path / "other", "other CA", NOW - timedelta(days=10))
    pem = signed(ca, identity.ask(NAME))
    with pytest.raises(EnrollError, match="does not lead to a CA that is trusted here"):
        identity.install(pem, "cert", name=NAME, anchors=[other.certificate], now=NOW)
    both = tmp_path / "both.pem"
    both.write_bytes(certificate_pem(other.certificate, ca.certificate))
    identity.install(pem, "cert", name=NAME, anchors=read_anchors(both), now=NOW)


def test_a_certificate_for_servers_is_none_for_a_box(identity, ca, monkeypatch):
    asked = identity.ask("broker:mq-1", ("mqtt.example.org", "10.0.0.1"))
    with pytest.raises(EnrollError, match="not for TLS client authentication"):
        install(identity, ca, signed(ca, asked), name="broker:mq-1")


@pytest.mark.parametrize("data", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_said_to_be_none(identity, ca, data):
    identity.ask(NAME)
    with pytest.raises(EnrollError, match="certificate"):
        install(identity, ca, data)


def test_without_a_request_there_is_no_key_for_a_certificate(identity, ca, tmp_path):
    pem = signed(ca, Identity(tmp_path / "other.pem").ask(NAME))
    with pytest.raises(EnrollError, match="there is no key") as caught:
        install(identity, ca, pem)
    assert "hallctl enroll request" in caught.value.hint


class Killed(BaseException):
    """The process is gone: nothing behind this is run."""


class Power:
    """Cuts the power before the n-th thing that touches the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 10**9
        for owner, name in ((os, "open"), (os, "fsync"), (Path, "replace"), (Path, "unlink"), (os, "fchmod")):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, real):
        def work(*args, **kwargs):
            self.left -= 1
            if self.left < 0:
                raise Killed
            return real(*args, **kwargs)

        return work


def test_a_power_cut_at_any_step_of_a_renewal_leaves_a_whole_pair(tmp_path, ca, monkeypatch):
    power = Power(monkeypatch)
    killed, outcomes = 0, set()
    for steps in range(200):
        identity = Identity(tmp_path / f"box-{steps}" / "identity.pem")
        power.left = 10**9
        old = install(identity, ca, signed(ca, identity.ask(NAME)))
        pem = signed(ca, identity.ask(NAME))
        power.left = steps
        try:
            install(identity, ca, pem)
            identity.confirm()
            done = True
        except Killed:
            killed, done = killed + 1, False
        power.left = 10**9
        again = Identity(identity.path)  # the next boot
        again.tidy()
        pair = again.current()
        outcomes.add(pair.serial == old.serial)
        assert isinstance(tls_context(Tls(None, identity.path)), ssl.SSLContext)
        if pair.serial == old.serial:
            assert again.asked() is not None  # the request is still there: the desk's answer is retained
            pair = install(again, ca, pem)
        assert again.asked() is None
        again.confirm()
        assert again.current().serial == pair.serial != old.serial
        assert {one.name for one in identity.path.parent.iterdir()} == {".identity.pem.lock", "identity.pem"}
        if done:
            break
    assert killed > 10
    assert outcomes == {True, False}


def test_a_power_cut_at_any_step_of_a_request_leaves_a_request_that_fits_its_key(tmp_path, ca, monkeypatch):
    power = Power(monkeypatch)
    for steps in range(100):
        identity = Identity(tmp_path / f"box-{steps}" / "identity.pem")
        power.left = 10**9
        identity.ask(NAME)
        power.left = steps
        try:
            identity.ask(NAME, anew=True)
            done = True
        except Killed:
            done = False
        power.left = 10**9
        again = Identity(identity.path)
        install(again, ca, signed(ca, again.ask(NAME)))
        if done:
            break
    assert steps > 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_belongs_to_the_owner_of_the_folder_so_that_the_daemon_can_read_it(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, 12345, 12346)
    Identity(folder / "identity.pem").ask(NAME)
    assert {(one.stat().st_uid, one.stat().st_gid) for one in folder.iterdir()} == {(12345, 12346)}


def test_a_disk_that_refuses_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(EnrollError, match="can't be"):
        Identity(tmp_path / "file" / "identity.pem").ask(NAME)
    with pytest.raises(EnrollError, match="can't be written"):
        files.write(tmp_path / "file" / "x", b"", files.PUBLIC)
