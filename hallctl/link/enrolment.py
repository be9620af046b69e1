"""Enrolment over MQTT: a box asks for its certificate, the desk answers. Both topics are retained; nothing is secret.

A request to renew is signed by the key of the present certificate: who may publish to the topic can't renew for others.
"""

from datetime import datetime

from pydantic import Field, ValidationError

from hallctl.errors import LinkError
from hallctl.link.payloads import Payload

MAX_CSR_BYTES = 4096


class EnrollRequest(Payload):
    """``enroll/request``: the box wants a certificate."""

    csr: str = Field(max_length=MAX_CSR_BYTES, description="PKCS #10 signing request in PEM")
    at: datetime = Field(description="when it was asked for")
    renews: str = Field(default="", max_length=64, description="serial number (hex) of the certificate before")
    proof: str = Field(
        default="", max_length=256, description="signature (base64, ECDSA with SHA-256) of csr by the key of that one"
    )


class EnrollAnswer(Payload):
    """``enroll/certificate``: what the desk says to a request."""

    fingerprint: str = Field(description="of the key that the request was for")
    at: datetime = Field(description="when it was answered")
    certificate: str = Field(default="", description="in PEM, intermediate ones behind it; empty: refused")
    message: str = Field(default="", max_length=500, description="why it was refused")
    hint: str = Field(default="", max_length=500, description="what to do about it")


def read_request(payload: bytes) -> EnrollRequest:
    """A request that arrived. Raises ``LinkError``."""
    try:
        return EnrollRequest.model_validate_json(payload)
    except ValidationError as exc:
        raise LinkError(
            f"a request for a certificate can't be read: {exc.errors()[0]['msg']}", code="link.unreadable"
        ) from exc


def read_answer(payload: bytes) -> EnrollAnswer:
    """An answer that arrived. Raises ``LinkError``."""
    try:
        return EnrollAnswer.model_validate_json(payload)
    except ValidationError as exc:
        raise LinkError(
            f"the answer to a request for a certificate can't be read: {exc.errors()[0]['msg']}", code="link.unreadable"
        ) from exc
