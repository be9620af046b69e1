"""The payloads of config/desired and config/reported."""

import json
from datetime import UTC, datetime

import pytest

from hallctl.errors import LinkError
from hallctl.link.configuration import (
    MAX_DESIRED_BYTES,
    ApplyStatus,
    Desired,
    Mistake,
    Reported,
    document_hash,
    encode_reported,
    read_desired,
)
from hallctl.link.payloads import MAX_BYTES

DOCUMENT = {"terminals": [{"id": "printer-1", "driver": "escpos", "port": "tcp://10.8.2.1:9100"}]}


def wanted(**changes: object) -> bytes:
    made = {"version": 3, "hash": document_hash(DOCUMENT), "document": DOCUMENT, **changes}
    return json.dumps(made).encode()


def test_a_desired_document_is_read_with_its_defaults() -> None:
    desired = read_desired(wanted())
    assert desired == Desired(version=3, hash=document_hash(DOCUMENT), document=DOCUMENT)
    assert desired.health.window_s > 0
    assert desired.health.max_lost == 0


def test_the_hash_does_not_depend_on_the_order_of_keys_nor_on_the_documents_own_version() -> None:
    turned = {"version": 9, "terminals": [dict(reversed(DOCUMENT["terminals"][0].items()))]}
    assert document_hash(turned) == document_hash(DOCUMENT)


def test_the_hash_depends_on_every_value() -> None:
    other = {"terminals": [{**DOCUMENT["terminals"][0], "port": "tcp://10.8.2.2:9100"}]}
    assert document_hash(other) != document_hash(DOCUMENT)


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b"{", "can't be read"),
        (b"[]", "can't be read"),
        (wanted(version=0), "version"),
        (wanted(hash="00"), "hash"),
        (wanted(hash="0" * 64), "not the one whose hash"),
        (wanted(document=[1]), "document"),
        (wanted(health={"window_s": -1}), "health.window_s"),
        (wanted(document={"a": float("nan")}), "NaN|JSON"),
        (b" " * MAX_DESIRED_BYTES + wanted(), "is over the contract's"),
    ],
)
def test_what_is_wrong_with_a_desired_document_is_named(payload: bytes, named: str) -> None:
    with pytest.raises(LinkError, match=named):
        read_desired(payload)


def test_unknown_attributes_of_a_newer_desk_are_ignored() -> None:
    assert read_desired(wanted(colour="blue")).version == 3


def test_a_report_with_a_thousand_mistakes_fits_and_says_how_many_are_left_out() -> None:
    errors = [Mistake(pointer=f"/terminals/{n}/port", code="missing", message="字" * 50) for n in range(1000)]
    quarantined = [f"terminal-{n:04}" for n in range(1000)]
    report = Reported(
        boot=1,
        at=datetime(2026, 3, 2, tzinfo=UTC),
        status=ApplyStatus.PARTIAL,
        errors=errors,
        quarantined=quarantined,
    )
    data = encode_reported(report)
    assert len(data) <= MAX_BYTES
    read = Reported.model_validate_json(data)
    assert read.errors == errors[: len(read.errors)]
    assert read.errors_cut == 1000 - len(read.errors)
    assert read.quarantined == quarantined[: len(read.quarantined)]
    assert read.quarantined_cut == 1000 - len(read.quarantined)
    assert len(read.errors) >= 5
    assert len(read.quarantined) >= 50
