"""Alpha signs: packets beside those of an encoder that is not ours, what the driver says, signs that misbehave."""

import asyncio
import contextlib
from typing import Any

import pytest
from hallctl_drivers.alpha import PLUGIN, codec
from hallctl_drivers.alpha.codec import AlphaFraming, Mode, Packet, Text, TextColour
from hallctl_drivers.alpha.config import AlphaOptions
from hallctl_drivers.alpha.driver import AlphaSign
from hallctl_drivers.alpha.sim import AlphaSimulator
from hypothesis import given
from hypothesis import strategies as st

from hallctl.clock import SystemClock
from hallctl.driver import Colour, DisplayKind, DisplayMessage, TerminalContext, on_pty
from hallctl.driver.conformance import DirectLine
from hallctl.errors import CodecError, Fault, HallctlError, LocalCodecError, RemoteCodecError, TransportTimeout
from hallctl.terminal import Bus
from hallctl.transport import PortAddress, null_modem

CALL = DisplayMessage(DisplayKind.CALL, ("A001 to 3",), ticket="A001", window="3", blink=True)
ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=100)
TEXTS = st.builds(Text, ASCII, st.sampled_from(Mode), st.sampled_from(TextColour))
PAUSE = b"\xff"  # alphasignpy's marker for a pause, which it never sends


class Log:
    def debug(self, event: str, **fields: object) -> None: ...

    info = warning = debug


async def nobody(_signal: object) -> None: ...


def make_sign(**options: Any) -> AlphaSign:
    return AlphaSign(TerminalContext("sign-1", SystemClock(), Log(), nobody), AlphaOptions(**options))


def wired(sign: AlphaSimulator) -> DirectLine:
    assert PLUGIN.framing is not None
    return DirectLine(sign, PLUGIN.framing, sign.address)


@given(TEXTS, st.integers(0, 255))
def test_a_text_is_the_same_packet_as_another_encoder_makes(text: Text, address: int) -> None:
    alphasign = pytest.importorskip("alphasign", reason="alphasignpy is not installed")
    packet = pytest.importorskip("alphasign.packet")
    commands = pytest.importorskip("alphasign.commands.text")
    protocol = pytest.importorskip("alphasign.protocol")
    del alphasign
    mode = protocol.DisplayMode(text.mode.value.encode())
    colour = {"1": protocol.Color.RED, "2": protocol.Color.GREEN, "3": protocol.Color.AMBER}[text.colour.value]
    message = colour.value + text.text.encode()
    theirs = packet.Packet(address=f"{address:02X}")
    theirs.add(commands.WriteText(message, label="0", position=protocol.DisplayPosition.MIDDLE_LINE, mode=mode))
    ours = codec.encode_packet(codec.write_text(address, text))
    assert ours == theirs.to_bytes().replace(PAUSE, b"")


def test_what_another_encoder_says_is_shown_by_our_sign() -> None:
    packet = pytest.importorskip("alphasign.packet", reason="alphasignpy is not installed")
    commands = pytest.importorskip("alphasign.commands.text")
    protocol = pytest.importorskip("alphasign.protocol")
    sign = AlphaSimulator(address=7)
    theirs = packet.Packet(address="07")
    theirs.add(commands.WriteText("B012 to 4", label="0", mode=protocol.DisplayMode.HOLD))
    sign.feed(theirs.to_bytes().replace(PAUSE, b""))
    assert (sign.shown.text, sign.refused) == ("B012 to 4", [])


@given(TEXTS, st.integers(0, 255))
def test_every_text_comes_back_as_it_went(text: Text, address: int) -> None:
    packet = codec.write_text(address, text)
    assert codec.decode_packet(codec.encode_packet(packet)) == packet
    assert codec.read_text(packet.data) == text


@given(TEXTS, st.integers(1, 255), st.binary(max_size=8))
def test_a_packet_is_found_on_a_line_whatever_follows_it(text: Text, address: int, rest: bytes) -> None:
    framing, raw = AlphaFraming(), codec.encode_packet(codec.write_text(address, text))
    assert framing.probe(raw + rest) == len(raw)
    assert framing.address_of(raw) == address
    assert all(framing.probe(raw[:cut]) == 0 for cut in range(1, len(raw)))


def test_an_answer_names_no_sign_and_is_found_behind_its_many_nuls() -> None:
    framing = AlphaFraming()
    raw = bytes(15) + codec.encode_packet(codec.status_answer(0x10))
    assert framing.probe(raw) == len(raw)
    assert framing.address_of(raw) is None
    assert codec.read_status(codec.decode_packet(raw)) == 0x10


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_and_nothing_else(noise: bytes) -> None:
    for raw in (noise, b"\0\0\0\0\0\x01" + noise + b"\x04"):
        AlphaFraming().probe(raw)
        with contextlib.suppress(CodecError):
            codec.read_status(codec.decode_packet(raw))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: codec.write_text(1, Text("请A001号")), "U\\+8BF7"),
        (lambda: codec.write_text(1, Text("x" * 126)), "132 bytes"),
        (lambda: codec.encode_packet(Packet(256, "A")), "address 256"),
        (lambda: codec.encode_packet(Packet(1, "A", b"\x04")), "can't carry"),
    ],
)
def test_what_the_protocol_can_not_carry_is_our_own_mistake(build: Any, words: str) -> None:
    with pytest.raises(LocalCodecError, match=words):
        build()


async def test_a_message_is_on_the_sign_once_show_returns() -> None:
    sign = AlphaSimulator(address=3)
    driver = make_sign()
    await driver.start(wired(sign))
    await driver.show(CALL)
    assert sign.shown == Text("A001 to 3", Mode.FLASH, TextColour.RED)
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("Closed",), colour=Colour.YELLOW))
    assert sign.shown == Text("Closed", Mode.HOLD, TextColour.AMBER)
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("",)))
    assert sign.shown == Text()
    assert (await driver.poll()).faults == ()
    assert sign.refused == []


async def test_what_was_shown_and_how_bright_is_restored_after_a_power_cycle() -> None:
    sign = AlphaSimulator()
    driver = make_sign(dimming=True)
    await driver.start(wired(sign))
    await driver.show(CALL)
    assert await driver.set_brightness(60)
    sign.power_cycle()
    sign.dimmed = None
    await driver.start(wired(sign))
    assert (sign.shown.text, sign.dimmed) == ("A001 to 3", b"03")


async def test_a_sign_that_can_not_dim_says_so_and_is_not_asked_where_nobody_said_it_can() -> None:
    driver, dimmer = make_sign(), make_sign(dimming=True)
    sign = AlphaSimulator("old_firmware")
    await driver.start(wired(sign))
    assert not await driver.set_brightness(50)
    await dimmer.start(wired(sign))
    with pytest.raises(Fault) as caught:
        await dimmer.set_brightness(50)
    assert (caught.value.code, "dimming" in caught.value.hint) == ("display.nak", True)
    assert set(PLUGIN.faults) == {"display.nak"}


async def test_a_text_that_is_too_wide_moves_or_is_refused_as_the_hall_wants() -> None:
    long = DisplayMessage(DisplayKind.TEXT, ("Please take a seat",))
    sign = AlphaSimulator()
    driver, strict = make_sign(), make_sign(too_wide="refuse")
    await driver.start(wired(sign))
    await driver.show(long)
    assert sign.shown.mode is Mode.ROTATE
    await strict.start(wired(sign))
    with pytest.raises(LocalCodecError, match="18 characters wide"):
        await strict.show(long)


async def test_errors_of_the_line_between_texts_are_told_and_forgotten() -> None:
    sign = AlphaSimulator()
    driver = make_sign()
    await driver.start(wired(sign))
    sign.register = 0x01
    assert "parity" in (await driver.poll()).info["line_errors"]
    assert "line_errors" not in (await driver.poll()).info


FAULTS: dict[str, type[HallctlError] | None] = {
    "mute": TransportTimeout,
    "noise": None,  # it hits one of the NULs before the answer
    "half_frames": TransportTimeout,
    "collisions": TransportTimeout,
    "echo_mute": TransportTimeout,
    "echo": None,
    "line_noise": None,
    "slow_ack": None,  # a direct line has no time
    "disturbed": Fault,
    "old_firmware": None,
}


@pytest.mark.parametrize("fault", sorted(AlphaSimulator.FAULTS))
async def test_a_fault_becomes_its_error(fault: str) -> None:
    driver, expected = make_sign(), FAULTS[fault]
    with pytest.raises(expected) if expected else contextlib.nullcontext():
        await driver.start(wired(AlphaSimulator(fault, 7)))
        await driver.show(CALL)


async def test_without_answers_nothing_is_waited_for() -> None:
    sign = AlphaSimulator("mute")
    driver = make_sign(check="none")
    await driver.start(wired(sign))
    await driver.show(CALL)
    assert sign.shown.text == "A001 to 3"


async def test_a_port_is_no_line_for_this_driver() -> None:
    with pytest.raises(HallctlError, match="bus and an address"):
        await make_sign().start(null_modem()[0])


async def test_signs_on_a_real_bus_obey_only_their_own_address(tmp_path: Any) -> None:
    signs = [AlphaSimulator(address=number) for number in (1, 2)]
    clock, link = SystemClock(), str(tmp_path / "line")
    async with on_pty(signs, link):
        bus = Bus("line", PortAddress.parse(f"serial://{link}?baud=9600"), clock, Log())
        running = asyncio.create_task(bus.run())
        await bus.tried.wait()
        assert PLUGIN.framing is not None
        for number in (1, 2):
            driver = make_sign()
            await driver.start(bus.attach(number, PLUGIN.framing, PLUGIN.bus_gap_s))
            await driver.show(DisplayMessage(DisplayKind.TEXT, (f"window {number}",)))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [sign.shown.text for sign in signs] == ["window 1", "window 2"]
    assert signs[0].refused == signs[1].refused == []


def test_a_sign_refuses_what_a_sign_would() -> None:
    sign = AlphaSimulator()
    good = codec.encode_packet(codec.write_text(1, Text("A1")))
    for raw in (good[3:], good.replace(b"Z01", b"Z02"), good[:-3] + b"00\x04", good.replace(b"A0", b"AQ", 1)):
        sign.feed(raw)
        assert sign.shown == Text()
    with pytest.raises(RemoteCodecError):
        codec.decode_packet(good[:-1])
