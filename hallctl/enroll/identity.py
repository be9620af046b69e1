"""A box's identity: one file that holds key and certificate, so that one rename swaps both.

Beside it: ``.next`` (the key of a request that waits), ``.csr`` (that request), ``.previous`` (the pair before, kept
until the broker has taken the new one). Whatever a crash leaves, the identity itself is a whole pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from hallctl.enroll import files
from hallctl.enroll.judge import judge
from hallctl.enroll.keys import (
    Key,
    certificate_pem,
    common_name,
    fingerprint,
    key_pem,
    lifetime,
    make_csr,
    new_key,
    prove,
    read_certificates,
    read_csr,
    read_key,
    serial_of,
)
from hallctl.errors import EnrollError


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its certificate, with what leads to the CA."""

    key: Key
    chain: tuple[x509.Certificate, ...]

    @property
    def name(self) -> str:
        """Whose it is."""
        return common_name(self.chain[0])

    @property
    def serial(self) -> str:
        """Serial number, hex."""
        return serial_of(self.chain[0])

    @property
    def lifetime(self) -> tuple[datetime, datetime]:
        """From when until when it holds, UTC."""
        return lifetime(self.chain[0])


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its CSR in PEM, and what to read out on the phone."""

    csr: bytes
    name: str
    fingerprint: str


class Identity:
    """The files of one identity. Every method raises ``EnrollError`` when the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = path.with_name(f"{path.name}.next")
        self._csr = path.with_name(f"{path.name}.csr")
        self._previous = path.with_name(f"{path.name}.previous")
        self._lock = path.with_name(f".{path.name}.lock")

    def current(self) -> Pair | None:
        """The pair that is in use; ``None`` before the first certificate."""
        return self._pair(self.path)

    def asked(self) -> Asked | None:
        """The request that waits for its certificate."""
        csr = files.read(self._csr)
        if csr is None or not self._next.exists():
            return None
        found = read_csr(csr, str(self._csr))
        return Asked(csr, found.common_name, found.fingerprint)

    def ask(self, name: str, hosts: tuple[str, ...] = (), *, anew: bool = False) -> Asked:
        """Make a key and a request; the one that waits already is given again, unless ``anew`` or it is for another."""
        with files.locked(self._lock):
            waiting = self.asked()
            if waiting is not None and waiting.name == name and not anew:
                return waiting
            key = new_key()
            csr = make_csr(key, name, hosts)
            files.remove(self._csr)  # the request of the last key must not be sent once the key is another
            files.write(self._next, key_pem(key), files.PRIVATE)
            files.write(self._csr, csr, files.PUBLIC)
            return Asked(csr, name, fingerprint(key.public_key()))

    def prove(self, csr: bytes) -> tuple[str, str]:
        """Serial of the present certificate and the proof that its holder sends ``csr``; empty before the first one."""
        pair = self.current()
        return (pair.serial, prove(pair.key, csr)) if pair is not None else ("", "")

    def install(
        self,
        pem: bytes,
        where: str,
        *,
        name: str,
        anchors: Sequence[x509.Certificate],
        now: datetime,
        server: bool = False,
    ) -> Pair:
        """Put a certificate in place, with the key of the request or the present one. Raises ``EnrollError``."""
        with files.locked(self._lock):
            chain = tuple(read_certificates(pem, where))
            key = self._key_for(chain[0])
            judge(chain, key=key, name=name, anchors=anchors, now=now, server=server)
            present = files.read(self.path)
            if present is not None and not self.on_trial:  # else the one that is kept was taken by the broker once
                files.write(self._previous, present, files.PRIVATE)
            files.write(self.path, key_pem(key) + certificate_pem(*chain), files.PRIVATE)
            self._clear_request()
            return Pair(key, chain)

    @property
    def on_trial(self) -> bool:
        """Whether the broker has not taken the pair yet, and there is one before it."""
        return self._previous.exists()

    def confirm(self) -> None:
        """The broker has taken the pair."""
        with files.locked(self._lock):
            files.remove(self._previous)

    def go_back(self, now: datetime) -> Pair | None:
        """The broker does not take the pair: use the one before it again, and give it; ``None`` where it has ended."""
        with files.locked(self._lock):
            previous, before = files.read(self._previous), self._pair(self._previous)
            if previous is None or before is None or now >= before.lifetime[1]:
                return None
            files.write(self.path, previous, files.PRIVATE)
            files.remove(self._previous)
            return self.current()

    def tidy(self) -> None:
        """After a crash: what was written aside goes, and a request that was answered already."""
        with files.locked(self._lock):
            files.remove(*(one for one in self.path.parent.glob(f".{self.path.name}*") if one != self._lock))
            pair, key = self.current(), self._waiting_key()
            if pair is not None and key is not None and _same(pair.key, key):
                self._clear_request()

    def _clear_request(self) -> None:
        files.remove(self._csr, self._next)

    def _key_for(self, certificate: x509.Certificate) -> Key:
        """The key that the certificate belongs to, else the one that waits, so that the judge can say what is wrong."""
        pair, waiting = self.current(), self._waiting_key()
        keys = [key for key in (waiting, pair.key if pair else None) if key is not None]
        if not keys:
            raise EnrollError(
                f"there is no key at {self.path} that a certificate could belong to",
                code="enroll.key",
                hint="`hallctl enroll request` makes it, and the request to sign",
            )
        return next((key for key in keys if _belongs(certificate, key)), keys[0])

    def _waiting_key(self) -> Key | None:
        data = files.read(self._next)
        return read_key(data, str(self._next)) if data is not None else None

    def _pair(self, path: Path) -> Pair | None:
        data = files.read(path)
        if data is None:
            return None
        return Pair(read_key(data, str(path)), tuple(read_certificates(data, str(path))))


def _same(one: Key, other: Key) -> bool:
    return one.public_key().public_numbers() == other.public_key().public_numbers()


def _belongs(certificate: x509.Certificate, key: Key) -> bool:
    public = certificate.public_key()
    return isinstance(public, type(key.public_key())) and public.public_numbers() == key.public_key().public_numbers()


def read_anchors(ca_file: Path | None) -> list[x509.Certificate]:
    """CAs that may have signed our certificate: those in ``ca_file``; none named: it can't be checked."""
    if ca_file is None:
        return []
    data = files.read(ca_file)
    if data is None:
        raise EnrollError(
            f"there is no {ca_file}", code="enroll.no_ca", hint="tls.ca_file (--cafile) holds the CA's certificate"
        )
    return read_certificates(data, str(ca_file))
