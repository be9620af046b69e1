"""What the kernel says of keys, read right: compared with evdev, an independent implementation."""

import contextlib
import os
from typing import Any

import pytest
from hallctl_drivers.keyboard.codec import EV_KEY, SIZE, Event, KeyDecoder
from hallctl_drivers.keyboard.keys import CODES, DIGITS, NAMES
from hypothesis import given
from hypothesis import strategies as st

from hallctl.errors import CodecError

EVENTS = st.builds(
    Event,
    st.integers(0, 0x1F).filter(lambda kind: kind != EV_KEY),
    st.integers(0, 0x2FF),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 2**40),
    st.integers(0, 999_999),
)


def test_the_keys_have_the_codes_that_the_kernel_gives_them() -> None:
    evdev = pytest.importorskip("evdev", reason="evdev-binary is not installed (x86-64 only)")
    theirs = {name: evdev.ecodes.ecodes[name] for name in CODES}
    assert theirs == dict(CODES)
    assert len(NAMES) == len(CODES) > 110
    assert set(DIGITS) <= set(CODES)


def test_an_event_is_laid_out_as_evdev_reads_it() -> None:
    read_many = pytest.importorskip(
        "evdev._input", reason="evdev-binary is not installed (x86-64 only)"
    ).device_read_many
    events = [Event(4, 4, 0x7001E, 3, 4), Event(1, 2, 1, 3, 4), Event(0, 0, 0, 2**40, 999_999), Event(1, 28, -1)]
    reader, writer = os.pipe()
    try:
        os.write(writer, b"".join(event.to_bytes() for event in events))
        theirs = [Event(kind, code, value, sec, usec) for sec, usec, kind, code, value in read_many(reader)]
    finally:
        os.close(reader)
        os.close(writer)
    assert theirs == events


def test_an_event_has_the_kernel_s_size_on_64_bits() -> None:
    assert SIZE == 24
    assert Event(1, 2, 1, 3, 4).to_bytes() == bytes([3] + [0] * 7 + [4] + [0] * 7 + [1, 0, 2, 0, 1, 0, 0, 0])


@given(st.lists(st.sampled_from(sorted(NAMES))), st.lists(EVENTS, max_size=5), st.data())
def test_every_press_is_heard_once_in_order_in_any_pieces(codes: list[int], others: list[Event], data: Any) -> None:
    others = [event for event in others if event.type != 0]
    said = b"".join(
        b"".join(
            event.to_bytes()
            for event in (*others, Event(1, code, 1), Event(0, 0, 0), Event(1, code, 2), Event(1, code, 0))
        )
        for code in codes
    )
    decoder, heard = KeyDecoder(), []
    while said:
        size = data.draw(st.integers(1, 60))
        heard += [press.code for press in decoder.feed(said[:size])]
        said = said[size:]
    assert heard == codes


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_any_bytes_are_read_or_refused_and_nothing_else(pieces: list[bytes]) -> None:
    decoder = KeyDecoder()
    for piece in pieces:
        with contextlib.suppress(CodecError):
            decoder.feed(piece)
