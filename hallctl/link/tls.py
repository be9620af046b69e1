"""TLS towards the broker: the context from its files, and why a handshake failed, in a technician's words.

With TLS 1.3 a client learns what the broker thinks of its certificate only after its own side of the handshake is done,
from an alert in place of the first answer. paho reads that alert as a lost connection; ``AlertSocket`` keeps it.
"""

import ssl
from pathlib import Path
from typing import Any

from hallctl.config import check_private
from hallctl.errors import CertificateRefused, ConfigError, LinkError
from hallctl.link.broker import Tls

_CLOCK = "or this machine's clock is wrong (`timedatectl`)"
_SERVER = {  # X509_V_ERR_*, openssl/x509_vfy.h
    9: ("is not valid yet", f"it is valid later than now, {_CLOCK}"),
    10: ("has expired", f"renew it at the broker, {_CLOCK}"),
    23: ("is revoked", "the broker needs a new one"),
    62: ("is for another name", "write a name into broker.host (--broker) that the broker's certificate is for"),
    64: ("is for another address", "write a name into broker.host (--broker) that the broker's certificate is for"),
}
_UNTRUSTED = (
    "is not signed by an authority that is trusted here",
    "tls.ca_file (--cafile) has to hold the certificate of the CA that signed the broker's",
)
_ENROLL = "`hallctl enroll status` shows ours; `hallctl enroll request` asks for a new one"
_ALERTS = {  # what the broker says of our certificate: RFC 8446, section 6.2, in OpenSSL's names
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "wants a client certificate and got none",
        "tls.identity, or cert_file and key_file in controller.yaml (--cert and --key); `hallctl enroll` makes one",
    ),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": ("says that our certificate has expired", _ENROLL),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": ("says that our certificate is revoked", _ENROLL),
    "TLSV1_ALERT_UNKNOWN_CA": (
        "does not trust the CA that signed our certificate",
        "the broker's cafile has to hold that CA; `hallctl enroll status` names it",
    ),
    "SSLV3_ALERT_BAD_CERTIFICATE": ("can't accept our certificate", _ENROLL),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": (
        "does not accept our certificate for this use",
        "it has to be for client authentication; a broker's own certificate is not",
    ),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": (
        "refuses our certificate",
        "its log says why; an expired revocation list (crlfile) makes it refuse every one",
    ),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "refuses the handshake",
        "it may want a client certificate (tls.identity; --cert and --key), or other ciphers",
    ),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("speaks another version of TLS", "let it speak TLS 1.2 or 1.3"),
    "TLSV1_ALERT_DECRYPT_ERROR": ("can't check our certificate", _ENROLL),
    "WRONG_VERSION_NUMBER": ("does not speak TLS at this port", "the port for TLS is usually 8883"),
}

_ABOUT_OURS = ("TLSV1_ALERT_UNKNOWN_CA", "TLSV1_ALERT_DECRYPT_ERROR")


class AlertSocket(ssl.SSLSocket):
    """Remembers the TLS failure that ended it."""

    failure: ssl.SSLError | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As of a socket."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as exc:
            self._note(exc)
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        """As of a socket."""
        try:
            return super().send(data, flags)
        except ssl.SSLError as exc:
            self._note(exc)
            raise

    def _note(self, exc: ssl.SSLError) -> None:
        if not isinstance(exc, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            self.failure = exc


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The files of ``tls`` as a context. Raises ``LinkError`` that names the file that can't be used."""
    context = ssl.create_default_context()
    context.sslsocket_class = AlertSocket
    if tls.ca_file is not None:
        context = _trusting(tls.ca_file)
    if tls.cert_file is not None:
        _show(context, tls.cert_file, tls.key_file)
    return context


def untrusted(where: str, exc: ssl.SSLCertVerificationError) -> LinkError:
    """The broker's certificate is not accepted here."""
    wrong, hint = _SERVER.get(exc.verify_code, _UNTRUSTED)
    return LinkError(
        f"the certificate of the broker {where} {wrong}: {exc.verify_message}", code="link.untrusted", hint=hint
    )


def handshake_failed(where: str, exc: ssl.SSLError) -> LinkError:
    """The broker's alert, or what else ended the handshake."""
    reason = exc.reason or str(exc)
    known = _ALERTS.get(reason)
    if known is None:
        return LinkError(
            f"TLS with the broker {where} failed: {reason.replace('_', ' ').lower()}",
            code="link.tls",
            hint="check that the port is the TLS one, and the client certificate; the broker's log may say more",
        )
    ours = "CERTIFICATE" in reason or reason in _ABOUT_OURS
    kind, code = (CertificateRefused, "link.certificate") if ours else (LinkError, "link.tls")
    return kind(f"the broker {where} {known[0]}", code=code, hint=known[1])


def closed_unanswered(where: str, *, secure: bool) -> LinkError:
    """The broker hung up before it said anything."""
    if secure:
        hint = "is the port the one for TLS? It may also refuse our certificate; the broker's log says why"
    else:
        hint = "the port may be the one for TLS (tls: {} in controller.yaml, mqtts:// here); the broker's log says why"
    return LinkError(f"the broker {where} hung up before it answered", code="link.closed", hint=hint)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as exc:
        hint = "ca_file (--cafile) is a file of CA certificates in PEM"
        raise LinkError(f"{ca_file} can't be used: {_why(exc)}", code="link.files", hint=hint) from exc
    context.sslsocket_class = AlertSocket
    return context


def _show(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ValueError) as exc:
        named = f"{cert_file} and {key_file}" if key_file not in (None, cert_file) else f"{cert_file}"
        hint = _what_to_do(cert_file, exc)
        raise LinkError(f"{named} can't be used: {_why(exc)}", code="link.files", hint=hint) from exc
    try:
        check_private(key_file or cert_file)
    except ConfigError as exc:
        message = f"{exc.path}: {exc.message}, and a private key stands in it"
        raise LinkError(message, code="link.files", hint=exc.hint) from exc


def _no_password() -> str:
    raise ValueError("the key is protected by a password, and nobody is here to type it")


def _why(exc: Exception) -> str:
    match exc:
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return "the certificate does not belong to the key"
        case ssl.SSLError():
            return "that is no such thing in PEM"
        case OSError() if exc.strerror:
            return exc.strerror.lower()
    return str(exc)


def _what_to_do(cert_file: Path, exc: Exception) -> str:
    match exc:
        case FileNotFoundError() if not cert_file.exists():
            return "this box has no certificate yet: `hallctl enroll request`, then `hallctl enroll install`"
        case PermissionError():
            return "they have to belong to the user that runs this"
    return "a certificate and its key in PEM, without a password"
