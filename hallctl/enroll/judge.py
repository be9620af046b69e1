"""Whether a certificate that came may be installed: the key, the name, the dates, the use, who signed it.

The chain is built by the library's path validation (RFC 5280); everything else is said in words, all at once.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from hallctl.enroll.keys import Key, common_name, lifetime
from hallctl.errors import EnrollError


def judge(
    chain: Sequence[x509.Certificate],
    *,
    key: Key,
    name: str,
    anchors: Sequence[x509.Certificate],
    now: datetime,
    server: bool = False,
) -> None:
    """Raise ``EnrollError`` that lists everything that is wrong. No ``anchors``: who signed it can't be checked."""
    leaf = chain[0]
    use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    wrong = [*_key(leaf, key), *_name(leaf, name), *_dates(leaf, now), *_use(leaf, use)]
    if anchors and not wrong:
        wrong = _chain(chain, anchors, now)
    if wrong:
        raise EnrollError(
            f"the certificate can't be used: {'; '.join(one for one, _ in wrong)}",
            code="enroll.certificate",
            hint="; ".join(dict.fromkeys(hint for _, hint in wrong)),
        )


def _key(leaf: x509.Certificate, key: Key) -> list[tuple[str, str]]:
    encoding, form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if leaf.public_key().public_bytes(encoding, form) == key.public_key().public_bytes(encoding, form):
        return []
    return [("it does not belong to this box's key", "sign the request that `hallctl enroll request` wrote last")]


def _name(leaf: x509.Certificate, name: str) -> list[tuple[str, str]]:
    found = common_name(leaf)
    if found == name:
        return []
    hint = "compare site and controller in controller.yaml with the request that was signed"
    return [(f"it is for {found!r}, this is {name!r}", hint)]


def _dates(leaf: x509.Certificate, now: datetime) -> list[tuple[str, str]]:
    begins, ends = lifetime(leaf)
    if now < begins:
        return [(f"it begins to hold at {begins:%Y-%m-%d %H:%M} UTC", "is this machine's clock right? (`timedatectl`)")]
    if now >= ends:
        return [(f"it has expired at {ends:%Y-%m-%d %H:%M} UTC", "ask for a new one, or set this machine's clock")]
    return []


def _use(leaf: x509.Certificate, use: x509.ObjectIdentifier) -> list[tuple[str, str]]:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return []
    if use in uses:
        return []
    wanted = "client" if use == ExtendedKeyUsageOID.CLIENT_AUTH else "server"
    return [(f"it is not for TLS {wanted} authentication", f"extended key usage has to be {wanted}Auth")]


def _chain(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime
) -> list[tuple[str, str]]:
    # A hall's own CA need not follow the rules of the public web: only what makes a chain a chain is asked of it.
    authority = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    policy = PolicyBuilder().store(Store(list(anchors))).time(now.replace(tzinfo=None))
    policy = policy.extension_policies(ee_policy=ExtensionPolicy.permit_all(), ca_policy=authority)
    try:
        policy.build_client_verifier().verify(chain[0], list(chain[1:]))
    except VerificationError as exc:
        hint = (
            "the CA that signed it, and any between, have to stand in tls.ca_file (--cafile) or behind it in its file"
        )
        return [(f"it does not lead to a CA that is trusted here ({exc})", hint)]
    return []
