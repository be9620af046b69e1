"""A small certification authority in a folder, for halls that have none: a key, a ledger, a revocation list.

It signs names of the form in ``names`` only. Certificates of boxes and people are for TLS clients, a broker's for TLS
servers, so that nobody can stand in for the broker. RFC 5280; what it sets passes OpenSSL's strict checks.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from hallctl.enroll import files
from hallctl.enroll.keys import (
    Csr,
    Key,
    certificate_pem,
    fingerprint,
    host_name,
    key_pem,
    lifetime,
    new_key,
    read_certificates,
    read_key,
    serial_of,
    subject,
)
from hallctl.enroll.ledger import Entry, Ledger
from hallctl.enroll.names import Role, holder_of
from hallctl.errors import EnrollError

CA_DAYS = 20 * 365.25
DAYS = {Role.BOOTSTRAP: 30.0, Role.BROKER: 730.0}
OTHER_DAYS = 365.0
BACK_DATED = timedelta(hours=1)  # clocks of boxes and of the centre differ


class Authority:
    """Open it with ``Authority.open``; make it with ``Authority.create``."""

    def __init__(self, folder: Path, key: Key, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        self.crl_path = folder / "crl.pem"
        self.certificate_path = folder / "ca.pem"
        self._key = key
        self._ledger = Ledger(folder / "ledger.jsonl")
        self._lock = folder / ".lock"

    @classmethod
    def create(
        cls, folder: Path, name: str, now: datetime, *, days: float = CA_DAYS, passphrase: bytes = b""
    ) -> "Authority":
        """Make key, certificate and an empty revocation list. Raises ``EnrollError`` where there is a CA already."""
        if (folder / "ca.pem").exists():
            raise EnrollError(
                f"there is a CA in {folder} already",
                code="enroll.ca_exists",
                hint="name another folder; its key can't be replaced",
            )
        key = new_key()
        certificate = _own_certificate(key, name, now, now + timedelta(days=days))
        files.write(folder / "ca.key", key_pem(key, passphrase), files.PRIVATE)
        files.write(folder / "ca.pem", certificate_pem(certificate), files.PUBLIC)
        made = cls(folder, key, certificate)
        made.write_crl(now)
        return made

    @classmethod
    def open(cls, folder: Path, passphrase: bytes = b"") -> "Authority":
        """Use the CA in a folder. Raises ``EnrollError``."""
        key, certificate = files.read(folder / "ca.key"), files.read(folder / "ca.pem")
        if key is None or certificate is None:
            raise EnrollError(
                f"there is no CA in {folder}", code="enroll.no_ca", hint="`hallctl enroll ca-init FOLDER` makes one"
            )
        (own, *_) = read_certificates(certificate, str(folder / "ca.pem"))
        return cls(folder, read_key(key, str(folder / "ca.key"), passphrase or None), own)

    @property
    def entries(self) -> list[Entry]:
        """Everything that was signed."""
        return self._ledger.entries()

    def sign(self, csr: Csr, now: datetime, *, by: str, days: float | None = None) -> str:
        """Sign a request; gives the certificate in PEM. The same key under the same name gets its certificate again.

        Raises ``EnrollError`` for a name that has not the form, and for a key that another holder has.
        """
        holder = holder_of(csr.common_name)
        if (holder.role is Role.BROKER) != bool(csr.hosts):
            hint = "broker:NAME goes with --host, and nothing else does"
            raise EnrollError(
                f"{csr.common_name} is asked for with the host names {csr.hosts or '(none)'}",
                code="enroll.name",
                hint=hint,
            )
        with self._locked():
            known = [one for one in self.entries if one.fingerprint == csr.fingerprint]
            if any(one.name != csr.common_name or one.revoked_at for one in known):
                raise EnrollError(
                    f"the key {csr.fingerprint} had a certificate already, for another name or a revoked one",
                    code="enroll.key_reused",
                    hint="a key is used once: `hallctl enroll request --anew` on that machine",
                )
            if (again := next((one for one in known if one.holds(now)), None)) is not None:
                return again.certificate
            ends = now + timedelta(days=days if days is not None else DAYS.get(holder.role, OTHER_DAYS))
            signed = self._signed(csr, holder.role, now, ends)
            self._ledger.sign(_entry(signed, csr, holder.role, now, by))
            return certificate_pem(signed).decode()

    def find(self, name_or_serial: str) -> list[Entry]:
        """Certificates of this name, or the one with this serial number."""
        return [one for one in self.entries if name_or_serial in (one.name, one.serial)]

    def revoke(self, name_or_serial: str, now: datetime, *, by: str, reason: str) -> list[Entry]:
        """Revoke every certificate that a name or serial number means; gives those that were not revoked yet."""
        with self._locked():
            found = self.find(name_or_serial)
            if not found:
                hint = "`hallctl enroll list` shows what was signed"
                raise EnrollError(
                    f"no certificate {name_or_serial!r} was signed here", code="enroll.unknown", hint=hint
                )
            fresh = [one for one in found if one.revoked_at is None]
            for one in fresh:
                self._ledger.revoke(one.serial, now, by, reason)
            self._write_crl(now)
        return fresh

    def write_crl(self, now: datetime) -> None:
        """Write the revocation list anew."""
        with self._locked():
            self._write_crl(now)

    def _write_crl(self, now: datetime) -> None:
        """It holds as long as the CA: a broker whose list has run out would refuse every box at once."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now - BACK_DATED).next_update(lifetime(self.certificate)[1])
        for one in self.entries:
            if one.revoked_at is not None:
                revoked = x509.RevokedCertificateBuilder().serial_number(int(one.serial, 16))
                builder = builder.add_revoked_certificate(revoked.revocation_date(one.revoked_at).build())
        number = x509.CRLNumber(int(now.timestamp() * 1000))
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(number, critical=False).add_extension(authority, critical=False)
        files.write(self.crl_path, builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), files.PUBLIC)

    def _signed(self, csr: Csr, role: Role, now: datetime, ends: datetime) -> x509.Certificate:
        last = lifetime(self.certificate)[1]
        if now >= last:
            raise EnrollError(
                f"the CA has expired at {last:%Y-%m-%d}",
                code="enroll.ca_expired",
                hint="make a new one (docs/security.md)",
            )
        server = role is Role.BROKER
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        unit = "" if server else role.value
        builder = _builder(csr.request.public_key(), self.certificate, now - BACK_DATED, min(ends, last))
        builder = builder.subject_name(subject(csr.common_name, unit))
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if server:
            names = x509.SubjectAlternativeName([*map(host_name, csr.hosts)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with files.locked(self._lock):
            yield


def _own_certificate(key: Key, name: str, now: datetime, ends: datetime) -> x509.Certificate:
    own = subject(name)
    builder = x509.CertificateBuilder().subject_name(own).issuer_name(own).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - BACK_DATED).not_valid_after(ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def _builder(public: object, issuer: x509.Certificate, begins: datetime, ends: datetime) -> x509.CertificateBuilder:
    """What every certificate of the CA has."""
    builder = x509.CertificateBuilder().issuer_name(issuer.subject).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(max(begins, lifetime(issuer)[0])).not_valid_after(ends)
    builder = builder.public_key(public)  # type: ignore[arg-type]  # every public key that a CSR may have
    own = x509.SubjectKeyIdentifier.from_public_key(public)  # type: ignore[arg-type]  # the same
    known = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)
    return builder.add_extension(own, critical=False).add_extension(authority, critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _entry(signed: x509.Certificate, csr: Csr, role: Role, now: datetime, by: str) -> Entry:
    begins, ends = lifetime(signed)
    return Entry(
        serial=serial_of(signed),
        name=csr.common_name,
        role=role.value,
        fingerprint=fingerprint(signed.public_key()),
        not_before=begins,
        not_after=ends,
        at=now,
        by=by,
        certificate=certificate_pem(signed).decode(),
    )
