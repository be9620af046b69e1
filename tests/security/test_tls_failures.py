"""Where TLS fails, the error says what is wrong and what to do; on a real mosquitto, with TLS 1.3 and 1.2."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from security.hall_pki import EXAMPLE, GuardedBroker, Pki

from hallctl.enroll.keys import key_pem, new_key
from hallctl.errors import CertificateRefused, LinkError
from hallctl.link import BrokerSettings, Session, Tls
from hallctl.link import session as session_module


@pytest.fixture(params=["1.3", "1.2"])
def version(request, monkeypatch):
    """With 1.2 the broker's alert comes during the handshake, with 1.3 after it."""
    made = session_module.tls_context

    def of_version(tls):
        context = made(tls)
        context.maximum_version = ssl.TLSVersion.TLSv1_2 if request.param == "1.2" else ssl.TLSVersion.TLSv1_3
        return context

    monkeypatch.setattr(session_module, "tls_context", of_version)
    return request.param


async def refusal(session: Session) -> LinkError:
    with pytest.raises(LinkError) as caught:
        await session.connect()
    return caught.value


async def test_a_certificate_of_the_ca_is_accepted(guarded: GuardedBroker, pki: Pki, version: str) -> None:
    session = guarded.session(pki.tls("gulou/box-1"))
    await session.connect()
    await session.publish("hall/v1/gulou/box-1/state", b"{}")
    await session.disconnect()


async def test_a_broker_of_another_ca_is_not_trusted(
    guarded: GuardedBroker, pki: Pki, version: str, tmp_path: Path
) -> None:
    other = Pki(tmp_path / "other")
    error = await refusal(guarded.session(Tls(other.ca_file, pki.issue("gulou/box-1"))))
    assert "not signed by an authority that is trusted here" in error.message
    assert "ca_file" in error.hint


async def test_a_broker_under_another_name_is_not_trusted(guarded: GuardedBroker, pki: Pki, version: str) -> None:
    settings = BrokerSettings("127.0.0.1", guarded.machines, client_id="hallctl-x", tls=pki.tls("gulou/box-1"))
    error = await refusal(Session(settings))
    assert "is for another address" in error.message
    assert "broker.host" in error.hint


@pytest.mark.parametrize(
    ("signed_before_days", "words"), [(20, "has expired"), (-20, "is not valid yet")], ids=["expired", "not yet"]
)
async def test_a_broker_whose_certificate_is_out_of_its_dates_is_not_trusted(
    guarded: GuardedBroker, pki: Pki, version: str, signed_before_days: int, words: str
) -> None:
    at = datetime.now(UTC) - timedelta(days=signed_before_days)
    guarded.stop()
    guarded.place("broker.pem", pki.issue("broker:mq-2", "localhost", at=at).read_text())
    guarded.start()
    error = await refusal(guarded.session(pki.tls("gulou/box-1")))
    assert words in error.message
    assert "clock" in error.hint


async def test_without_a_certificate_the_broker_lets_nobody_in(guarded: GuardedBroker, pki: Pki, version: str) -> None:
    error = await refusal(guarded.session(Tls(pki.ca_file)))
    assert "client certificate" in error.message + error.hint
    assert "--cert" in error.hint


async def test_a_certificate_of_another_ca_is_refused(
    guarded: GuardedBroker, pki: Pki, version: str, tmp_path: Path
) -> None:
    other = Pki(tmp_path / "other")
    error = await refusal(guarded.session(Tls(pki.ca_file, other.issue("gulou/box-1"))))
    assert isinstance(error, CertificateRefused)
    assert "does not trust the CA that signed our certificate" in error.message


async def test_a_key_that_others_may_read_is_not_used(guarded: GuardedBroker, pki: Pki) -> None:
    tls = pki.tls("gulou/box-1")
    assert tls.cert_file is not None
    tls.cert_file.chmod(0o640)
    error = await refusal(guarded.session(tls))
    assert f"{tls.cert_file}: others than its owner may use this file (mode 0640)" in error.message
    assert error.hint == f"chmod 600 {tls.cert_file}"


async def test_an_expired_certificate_is_refused(guarded: GuardedBroker, pki: Pki, version: str) -> None:
    expired = pki.issue("gulou/box-1", at=datetime.now(UTC) - timedelta(days=20))
    error = await refusal(guarded.session(Tls(pki.ca_file, expired)))
    assert isinstance(error, CertificateRefused)
    assert "our certificate has expired" in error.message
    assert "hallctl enroll" in error.hint


async def test_a_revoked_certificate_is_refused_as_soon_as_the_broker_has_the_list(
    guarded: GuardedBroker, pki: Pki, version: str
) -> None:
    tls = pki.tls("gulou/box-1")
    kept = pki.tls("gulou/box-2")
    pki.ca.revoke("gulou/box-1", datetime.now(UTC), by="test", reason="stolen")
    guarded.place("crl.pem", pki.ca.crl_path.read_text())
    guarded.reload()
    error = await refusal(guarded.session(tls))
    assert isinstance(error, CertificateRefused)
    assert "our certificate is revoked" in error.message
    session = guarded.session(kept)
    await session.connect()
    await session.disconnect()


async def test_the_certificate_of_a_box_can_not_stand_in_for_the_broker(
    guarded: GuardedBroker, pki: Pki, version: str
) -> None:
    guarded.stop()
    guarded.place("broker.pem", pki.issue("gulou/box-2").read_text())
    guarded.start()
    error = await refusal(guarded.session(pki.tls("gulou/box-1")))
    assert "certificate of the broker" in error.message


async def test_the_certificate_of_the_broker_is_none_for_a_client(
    guarded: GuardedBroker, pki: Pki, version: str
) -> None:
    error = await refusal(guarded.session(Tls(pki.ca_file, pki.issue("broker:mq-2", "localhost"))))
    assert isinstance(error, CertificateRefused)
    assert "our certificate" in error.message


async def test_a_new_certificate_of_the_broker_is_taken_at_a_reload(guarded: GuardedBroker, pki: Pki) -> None:
    guarded.stop()
    guarded.place(
        "broker.pem", pki.issue("broker:mq-2", "localhost", at=datetime.now(UTC) - timedelta(days=20)).read_text()
    )
    guarded.start()
    tls = pki.tls("gulou/box-1")
    assert "has expired" in (await refusal(guarded.session(tls))).message
    guarded.place("broker.pem", pki.issue("broker:mq-3", "localhost").read_text())
    guarded.reload()
    session = guarded.session(tls)
    await session.connect()
    await session.disconnect()


async def test_tls_towards_a_port_without_it_and_the_other_way_round_say_so(
    guarded: GuardedBroker, broker, pki: Pki
) -> None:
    tls = pki.tls("gulou/box-1")
    error = await refusal(Session(BrokerSettings("localhost", broker.port, client_id="hallctl-x", tls=tls)))
    assert "TLS" in error.message + error.hint
    error = await refusal(guarded.session(None))
    assert "hung up before it answered" in error.message
    assert "mqtts://" in error.hint


@pytest.mark.parametrize(
    ("ca", "cert", "words", "hint"),
    [
        ("no.pem", "good.pem", "no.pem can't be used: no such file", "CA certificates"),
        ("ca.pem", "no.pem", "no.pem can't be used: no such file", "hallctl enroll request"),
        ("text.pem", "good.pem", "text.pem can't be used", "PEM"),
        ("ca.pem", "text.pem", "text.pem can't be used", "PEM"),
        ("ca.pem", "mixed.pem", "does not belong to the key", "key"),
        ("ca.pem", "locked.pem", "password", "without a password"),
    ],
)
async def test_files_that_can_not_be_used_are_named(
    pki: Pki, tmp_path: Path, ca: str, cert: str, words: str, hint: str
) -> None:
    good, other = pki.issue("gulou/box-1").read_text(), pki.issue("gulou/box-2").read_text()
    begin = "-----BEGIN CERTIFICATE-----"
    locked = key_pem(new_key(), b"secret").decode() + begin + good.partition(begin)[2]
    texts = {
        "ca.pem": pki.ca_file.read_text(),
        "good.pem": good,
        "text.pem": "hello",
        "mixed.pem": good.partition(begin)[0] + begin + other.partition(begin)[2],
        "locked.pem": locked,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    error = await refusal(Session(BrokerSettings("localhost", 1, tls=Tls(tmp_path / ca, tmp_path / cert))))
    assert words in error.message
    assert hint in error.hint
    assert "secret" not in str(error)


def test_the_example_asks_for_certificates_and_looks_at_the_revocation_list_at_every_port() -> None:
    text = (EXAMPLE / "mosquitto.conf").read_text()
    ports = text.count("\nlistener ")
    for setting in ("require_certificate true", "crlfile ", "cafile ", "use_identity_as_username true"):
        assert text.count(f"\n{setting}") == ports
