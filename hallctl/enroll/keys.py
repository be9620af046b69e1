"""Keys, signing requests and certificates as PEM; what the library says is wrong with them becomes ``EnrollError``.

Keys are EC P-256: small enough for 8 KiB messages, and every broker takes them.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hallctl.errors import EnrollError
from hallctl.link.enrolment import MAX_CSR_BYTES

Key = ec.EllipticCurvePrivateKey
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


@dataclass(frozen=True, slots=True)
class Csr:
    """A signing request whose signature was checked: the sender has the key."""

    common_name: str
    hosts: tuple[str, ...]
    fingerprint: str
    request: x509.CertificateSigningRequest


def new_key() -> Key:
    """A private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key, passphrase: bytes = b"") -> bytes:
    """A private key as it stands in a file; encrypted where a passphrase is given."""
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def read_key(data: bytes, where: str, passphrase: bytes | None = None) -> Key:
    """A private key out of PEM. Raises ``EnrollError``, which never holds any part of it."""
    try:
        key = serialization.load_pem_private_key(data, passphrase)
    except (ValueError, TypeError) as exc:
        hint = "its passphrase is wrong or missing" if b"ENCRYPTED" in data else "a key in PEM"
        raise EnrollError(f"{where}: the key can't be read", code="enroll.key", hint=hint) from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnrollError(
            f"{where}: the key is not an EC one", code="enroll.key", hint="let `hallctl enroll request` make the key"
        )
    return key


def make_csr(key: Key, common_name: str, hosts: tuple[str, ...] = ()) -> bytes:
    """A signing request in PEM. ``hosts``: names and addresses of a broker."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(common_name))
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([*map(host_name, hosts)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read_csr(data: bytes, where: str) -> Csr:
    """A signing request out of PEM. Raises ``EnrollError`` also when its signature is wrong."""
    if len(data) > MAX_CSR_BYTES:
        raise EnrollError(
            f"{where}: {len(data)} bytes are too many for a request",
            code="enroll.request",
            hint="a CSR has about 400 bytes",
        )
    try:
        request = x509.load_pem_x509_csr(data)
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        signed, hosts = request.is_signature_valid, _hosts(request)
        public = request.public_key()
    except (ValueError, TypeError) as exc:
        hint = "a CSR in PEM, as `hallctl enroll request` writes it"
        raise EnrollError(f"{where}: the request can't be read: {exc}", code="enroll.request", hint=hint) from exc
    if not signed or len(names) != 1:
        raise EnrollError(
            f"{where}: the request is not signed by its own key, or has no name",
            code="enroll.request",
            hint="make it again",
        )
    return Csr(str(names[0].value), hosts, fingerprint(public), request)


def read_certificates(data: bytes, where: str) -> list[x509.Certificate]:
    """Every certificate in a PEM file, in its order. Raises ``EnrollError`` when there is none."""
    try:
        found = [x509.load_pem_x509_certificate(block) for block in _PEM.findall(data)]
    except ValueError as exc:
        raise EnrollError(
            f"{where}: the certificate can't be read: {exc}", code="enroll.certificate", hint="a certificate in PEM"
        ) from exc
    if not found:
        raise EnrollError(
            f"{where}: there is no certificate in it", code="enroll.certificate", hint="a certificate in PEM"
        )
    return found


def certificate_pem(*certificates: x509.Certificate) -> bytes:
    """Certificates as they stand in a file."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def common_name(certificate: x509.Certificate) -> str:
    """The holder's name; empty where there is none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def fingerprint(public: object) -> str:
    """What two people compare on the phone: the first 128 bits of SHA-256 of the public key, in groups of four."""
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise EnrollError(
            "the key is not an EC one", code="enroll.key", hint="let `hallctl enroll request` make the key"
        )
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public.public_bytes(encoding, form))
    text = digest.finalize().hex()[:32]
    return "-".join(text[at : at + 4] for at in range(0, 32, 4))


def prove(key: Key, csr: bytes) -> str:
    """Proof that the holder of ``key`` wants this request: its signature over the CSR's PEM, base64."""
    return base64.b64encode(key.sign(csr, ec.ECDSA(hashes.SHA256()))).decode("ascii")


def is_proved(certificate: x509.Certificate, csr: bytes, proof: str) -> bool:
    """Whether the proof was made with the key of this certificate."""
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return False
    try:
        public.verify(base64.b64decode(proof, validate=True), csr, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as the ledger writes it."""
    return f"{certificate.serial_number:x}"


def lifetime(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """From when until when it holds, UTC."""
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def subject(name: str, organisational_unit: str = "") -> x509.Name:
    """A subject; the unit carries the role for brokers that look at it."""
    try:
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if organisational_unit:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, organisational_unit))
    except ValueError as exc:
        raise EnrollError(
            f"{name[:100]!r} can't be a certificate's name: {exc}", code="enroll.name", hint="at most 64 characters"
        ) from exc
    return x509.Name(parts)


def host_name(host: str) -> x509.GeneralName:
    """A broker's name or address as certificates carry it. Raises ``EnrollError``."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as exc:
        raise EnrollError(f"{host!r} is no host name: {exc}", code="enroll.name", hint="write it in ASCII") from exc


def _hosts(request: x509.CertificateSigningRequest) -> tuple[str, ...]:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, addresses))
