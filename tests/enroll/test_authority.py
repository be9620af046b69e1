"""The small CA signs names of the form only, keeps what it signed, and its revocation list never runs out first."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from hallctl.enroll import Identity, Role, holder_of
from hallctl.enroll.acl import RIGHTS, access_list
from hallctl.enroll.authority import Authority
from hallctl.enroll.keys import lifetime, make_csr, new_key, read_certificates, read_csr
from hallctl.errors import EnrollError

pytestmark = pytest.mark.rule("MQ-26")

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "ca"


@pytest.fixture
def ca(folder):
    return Authority.create(folder, "test CA", NOW)


def csr_of(name, *hosts):
    return read_csr(make_csr(new_key(), name, hosts), "csr")


def sign(ca, csr, now=NOW, **more):
    return read_certificates(ca.sign(csr, now, by="li@desk", **more).encode(), "signed")[0]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("gulou-hall/ctl-01", Role.CONTROLLER),
        ("operator:lina", Role.OPERATOR),
        ("supervisor:wang.2", Role.SUPERVISOR),
        ("bootstrap:new-boxes", Role.BOOTSTRAP),
        ("broker:mq-1", Role.BROKER),
    ],
)
def test_names_of_the_form_have_a_role(name, role):
    assert holder_of(name).role is role


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gulou",
        "gulou/",
        "/box",
        "gulou/box/terminal/x",
        "gulou/+",
        "#/box",
        "Gulou/box",
        "gulou/box\n",
        "controller:box",
        "admin:lina",
        "operator:",
        "operator:li na",
        "operator:a/b",
        "hallctl-x",
        "a" * 40 + "/" + "b" * 40,
    ],
)
def test_other_names_are_refused_with_the_form_as_hint(name):
    with pytest.raises(EnrollError, match="is no name for a certificate") as caught:
        holder_of(name)
    assert "SITE/CONTROLLER" in caught.value.hint


def test_a_signed_certificate_is_for_clients_names_its_role_and_is_in_the_ledger(ca):
    csr = csr_of("gulou/box-1")
    certificate = sign(ca, csr, days=90)
    assert lifetime(certificate) == (NOW - timedelta(hours=1), NOW + timedelta(days=90))
    assert certificate.subject.rfc4514_string() == "OU=controller,CN=gulou/box-1"
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use.dotted_string for use in uses] == ["1.3.6.1.5.5.7.3.2"]
    (entry,) = ca.entries
    assert (entry.name, entry.by, entry.fingerprint) == ("gulou/box-1", "li@desk", csr.fingerprint)
    assert entry.serial == f"{certificate.serial_number:x}"


@pytest.mark.parametrize("name", ["gulou", "gulou/box/x", "root"])
def test_a_name_without_the_form_is_not_signed(ca, name):
    with pytest.raises(EnrollError, match="is no name"):
        sign(ca, csr_of(name))
    assert ca.entries == []


def test_only_a_broker_has_host_names_and_it_has_to(ca):
    certificate = sign(ca, csr_of("broker:mq-1", "mqtt.example.org", "10.0.0.1"))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mqtt.example.org"]
    for csr in (csr_of("gulou/box-1", "mqtt.example.org"), csr_of("broker:mq-1")):
        with pytest.raises(EnrollError, match="host names"):
            sign(ca, csr)


def test_the_same_request_gets_the_same_certificate_and_a_key_is_never_used_for_another_name(ca):
    key = new_key()
    csr = read_csr(make_csr(key, "gulou/box-1"), "csr")
    assert sign(ca, csr) == sign(ca, csr)
    with pytest.raises(EnrollError, match="for another name"):
        sign(ca, read_csr(make_csr(key, "gulou/box-2"), "csr"))
    ca.revoke("gulou/box-1", NOW, by="li", reason="stolen")
    with pytest.raises(EnrollError, match="revoked"):
        sign(ca, csr)
    assert len(ca.entries) == 1


def test_a_request_that_somebody_changed_is_refused(ca):
    pem = make_csr(new_key(), "gulou/box-1")
    lines = pem.splitlines()
    lines[2] = lines[2][::-1]
    with pytest.raises(EnrollError):
        read_csr(b"\n".join(lines), "csr")
    with pytest.raises(EnrollError, match="too many"):
        read_csr(b"x" * 5000, "csr")


def test_a_revocation_is_in_the_list_and_the_list_holds_as_long_as_the_ca(ca):
    first, second = sign(ca, csr_of("gulou/box-1")), sign(ca, csr_of("gulou/box-1"))
    kept = sign(ca, csr_of("gulou/box-2"))
    assert len(ca.revoke("gulou/box-1", NOW, by="li", reason="stolen")) == 2
    assert ca.revoke("gulou/box-1", NOW, by="li", reason="again") == []
    crl = x509.load_pem_x509_crl(ca.crl_path.read_bytes())
    assert {one.serial_number for one in crl} == {first.serial_number, second.serial_number}
    assert crl.next_update_utc == lifetime(ca.certificate)[1]
    assert crl.get_revoked_certificate_by_serial_number(kept.serial_number) is None
    with pytest.raises(EnrollError, match="was signed here"):
        ca.revoke("nobody", NOW, by="li", reason="")


def test_no_certificate_outlives_the_ca(folder):
    ca = Authority.create(folder, "short CA", NOW, days=10)
    assert lifetime(sign(ca, csr_of("gulou/box-1"), days=400))[1] == NOW + timedelta(days=10)
    with pytest.raises(EnrollError, match="the CA has expired"):
        sign(ca, csr_of("gulou/box-2"), now=NOW + timedelta(days=11))


def test_a_ca_is_opened_again_with_its_passphrase_only(folder):
    Authority.create(folder, "test CA", NOW, passphrase=b"correct horse")
    assert b"ENCRYPTED" in (folder / "ca.key").read_bytes()
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
    sign(Authority.open(folder, b"correct horse"), csr_of("gulou/box-1"))
    for wrong in (b"", b"wrong"):
        with pytest.raises(EnrollError, match="the key can't be read") as caught:
            Authority.open(folder, wrong)
        assert "passphrase" in caught.value.hint
        assert "horse" not in str(caught.value)


def test_a_ca_is_never_made_over_another_one(folder, ca):
    with pytest.raises(EnrollError, match="a CA in"):
        Authority.create(folder, "second", NOW)
    with pytest.raises(EnrollError, match="there is no CA"):
        Authority.open(folder.parent / "elsewhere")


def test_half_a_line_that_a_crash_left_in_the_ledger_is_cut_off(folder, ca):
    sign(ca, csr_of("gulou/box-1"))
    ledger = folder / "ledger.jsonl"
    with ledger.open("ab") as file:
        file.write(b'{"signed": {"serial": "ab')
    assert len(ca.entries) == 1
    sign(ca, csr_of("gulou/box-2"))
    assert [json.loads(line)["signed"]["name"] for line in ledger.read_text().splitlines()] == [
        "gulou/box-1",
        "gulou/box-2",
    ]


def test_a_ledger_that_somebody_changed_is_named_with_its_line_and_nothing_is_signed(folder, ca):
    sign(ca, csr_of("gulou/box-1"))
    ledger = folder / "ledger.jsonl"
    ledger.write_text("hello\n" + ledger.read_text())
    with pytest.raises(EnrollError, match=r"ledger\.jsonl:1"):
        sign(ca, csr_of("gulou/box-2"))


def test_openssl_takes_the_chain_and_the_list_in_its_strict_mode(folder, ca, tmp_path):
    now = datetime.now(UTC)
    ca = Authority.create(tmp_path / "real", "real CA", now)
    identity = Identity(tmp_path / "box.pem")
    pem = ca.sign(read_csr(identity.ask("gulou/box-1").csr, "csr"), now, by="t")
    (tmp_path / "cert.pem").write_text(pem)
    arguments = ["openssl", "verify", "-x509_strict", "-crl_check", "-purpose", "sslclient"]
    arguments += ["-CAfile", str(ca.certificate_path), "-CRLfile", str(ca.crl_path), str(tmp_path / "cert.pem")]
    good = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    ca.revoke("gulou/box-1", now, by="t", reason="")
    bad = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert bad.returncode != 0
    assert "revoked" in bad.stderr


def test_the_access_list_has_a_block_for_each_person_and_silences_who_is_gone():
    text = access_list(
        [holder_of("operator:lina"), holder_of("gulou/box-1"), holder_of("broker:mq-1")], ["gulou/box-9"]
    )
    assert "user operator:lina\n" in text
    assert "gulou/box-1" not in text
    assert "broker" not in text.replace("broker's", "")
    assert text.endswith("user gulou/box-9\ntopic deny #\n")


@pytest.mark.parametrize("role", [role for role in RIGHTS if role is not Role.OPERATOR])
def test_nobody_but_the_operator_configures(role):
    assert not [right for right in RIGHTS[role] if right.startswith("write") and "config" in right]
    assert "write command/+" not in RIGHTS[role]
