"""Why a broker can't be used, in a technician's words, each with what to do."""

import socket
import ssl

from hallctl.errors import LinkError
from hallctl.link.broker import Tls


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The files of ``tls`` as a context. Raises ``LinkError`` when one can't be used."""
    try:
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as exc:
        raise LinkError(f"the TLS files can't be used: {exc}", hint="check ca_file, cert_file and key_file") from exc
    return context


def connect_error(where: str, exc: Exception) -> LinkError:
    """Why no connection came about."""
    match exc:
        case ssl.SSLCertVerificationError():
            return LinkError(
                f"the broker {where} shows a certificate that is not trusted: {exc.verify_message}",
                hint="check tls.ca_file, the broker's host name and this box's clock",
            )
        case ssl.SSLError():
            return LinkError(
                f"TLS with the broker {where} failed: {exc.reason}",
                hint="check that the port is the TLS one, and the client certificate",
            )
        case socket.gaierror():
            return LinkError(
                f"the broker's name in {where} can't be resolved", hint="check broker.host, or write its IP address"
            )
        case ConnectionRefusedError():
            return LinkError(
                f"nothing listens at {where}", hint="start the broker, or check broker.host and broker.port"
            )
    return LinkError(f"the broker {where} can't be reached: {exc}", hint="check the network")


def refused(where: str, reason: str) -> LinkError:
    """The broker\'s own no (CONNACK)."""
    return LinkError(
        f"the broker {where} refuses us: {reason}",
        hint="check broker.username and broker.password, and the broker's list of clients",
    )
