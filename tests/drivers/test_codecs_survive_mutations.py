"""A million mutated frames a codec: nothing raises but ``CodecError``, nothing hangs, no byte gets lost.

Seeded: a failure comes back with the same frame. A new family is a function like the others and a line in FAMILIES.
"""

import contextlib
import itertools
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import xor
from types import FrameType

import pytest
from hallctl_drivers.alpha import codec as alpha_codec
from hallctl_drivers.alpha.sim import AlphaSimulator
from hallctl_drivers.ff68 import codec as ff68_codec
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator, Ff68PadSimulator
from hallctl_drivers.keyboard.codec import EV_KEY, EV_SYN, SYN_DROPPED, SYN_REPORT, Event, KeyDecoder, Press
from hallctl_drivers.onbon_bx import codec as onbon_codec
from hallctl_drivers.onbon_bx import frame as onbon_frame
from hallctl_drivers.onbon_bx.sim import OnbonBusSimulator, OnbonSimulator
from hallctl_drivers.pinganlihe import codec as pinganlihe_codec
from hallctl_drivers.pinganlihe.sim import BoardSimulator, PingAnLiHeSimulator
from hallctl_drivers.webpad.codec import Rate, read_rate
from hallctl_drivers.xinrui import codec as xinrui_codec
from hallctl_drivers.xinrui.sim import XinruiSimulator

from hallctl.driver import Framing, WireSimulator
from hallctl.errors import CodecError, RemoteCodecError
from hallctl.terminal.deframe import Deframer

SEED = 20261123
A_CODEC = 1_000_000
MIXED = 60_000
ROUND = 500  # frames between two resets of the far side
HANGS_AFTER_S = 20.0  # a round takes a tenth of a second
SYNC = bytes((onbon_frame.SYNC,))


@dataclass(frozen=True)
class Family:
    """``again``: decode and encode; ``seal``: make checksums right once more, so that a mutation reaches the inside.

    ``has_text``: whether a whole frame holds a text, which the codec may refuse for its characters or colours.
    """

    framing: Framing
    golden: Sequence[bytes]
    again: Callable[[bytes], bytes]
    seal: Callable[[bytes], bytes]
    simulators: Sequence[Callable[[str | None], WireSimulator]]
    has_text: Callable[[bytes], bool] = lambda _frame: False


def frames(*lines: str) -> list[bytes]:
    return [bytes.fromhex(line) for line in lines]


def pinganlihe() -> Family:
    def again(raw: bytes) -> bytes:
        if raw[:1] == bytes((pinganlihe_codec.TEXT_START,)):
            return pinganlihe_codec.encode_text(pinganlihe_codec.decode_text(raw))
        try:
            checksum = pinganlihe_codec.Checksum.WHOLE
            frame = pinganlihe_codec.decode(raw, checksum)
        except RemoteCodecError:
            checksum = pinganlihe_codec.Checksum.LOW_BYTE
            frame = pinganlihe_codec.decode(raw, checksum)
        with contextlib.suppress(CodecError):
            pinganlihe_codec.parse_call(frame.data)
        return pinganlihe_codec.encode(frame, checksum)

    def seal(raw: bytes) -> bytes:
        if raw[0] == pinganlihe_codec.TEXT_START:
            return raw[:5] + bytes((sum(raw[6:]) & 0xFF,)) + raw[6:]
        return raw[:-2] + bytes((sum(raw[1:-2]) % 100,)) + raw[-1:]

    golden = frames(
        "A0 06 28 03 01 0C 22 03 63 FF",  # the document's call
        "A0 07 28 03 01 0C 22 03 42 42 FF",  # the same with prefix B
        "A0 03 14 05 50 08 FF",  # acknowledgement
        "A0 03 98 05 50 28 FF",  # version query
        "A0 05 2B 01 01 41 35 44 FF",
        "AA 05 BB 51 54 92 08 02 99 00 63 D2 BB FF",
    )
    simulators = (partial(PingAnLiHeSimulator, address=3), partial(BoardSimulator, address=5))
    framing = pinganlihe_codec.PingAnLiHeFraming()
    return Family(framing, golden, again, seal, simulators, lambda frame: frame[0] == pinganlihe_codec.TEXT_START)


def onbon_bx() -> Family:
    def read_areas(data: bytes) -> None:
        onbon_codec.decode_areas(data[5:])

    any_card, from_card = "FE FF 00 80 00 00 00 00 00 00 FE 02", "00 80 FE FF 00 00 00 00 00 00 FE 02"

    def again(raw: bytes) -> bytes:
        decoder = onbon_frame.PacketDecoder()
        decoder.feed(raw)
        packet = decoder.next()
        if packet is None:
            raise RemoteCodecError("no frame")
        for read in (onbon_codec.decode_request, onbon_codec.decode_reply, read_areas):
            with contextlib.suppress(CodecError):
                read(packet.data)
        sync = raw[: len(raw) - len(raw.lstrip(SYNC))]  # one is enough, the encoder sends eight
        return sync + onbon_frame.encode_packet(packet).lstrip(SYNC)

    def seal(raw: bytes) -> bytes:
        return onbon_frame.encode_packet(onbon_frame.Packet(1, onbon_frame.CLIENT_ADDRESS, raw[22:-3]))

    area = "2C 00 00 00 00 00 00 08 00 10 00 00 00 00 05 00 00 00 00 02 01 02 00 00 08 11 00 00 00"
    text = "C7 EB 41 30 30 31 BA C5 B5 BD 33 BA C5 B4 B0 BF DA"
    golden = [
        SYNC * 8 + raw
        for raw in frames(
            f"{any_card} 35 00 A3 06 01 00 00 00 01 {area} {text} FC C1 5A",  # the four of the vendor's example
            f"{any_card} 06 00 A3 00 01 00 00 01 5D F1 5A",
            f"{any_card} 06 00 A3 00 01 00 00 02 1D F0 5A",
            f"{any_card} 05 00 A3 10 01 00 00 75 DC 5A",
            f"{from_card} 05 00 A0 00 00 00 00 14 AC 5A",  # the document's answers
            f"{from_card} 05 00 A0 01 05 00 00 05 51 5A",
            "01 00 00 80 00 00 00 00 00 00 FE 02 05 00 A2 00 01 00 00 68 F8 5A",
        )
    ]
    return Family(onbon_frame.OnbonFraming(), golden, again, seal, (OnbonSimulator, OnbonBusSimulator))


def ff68() -> Family:
    def again(raw: bytes) -> bytes:
        return ff68_codec.Frame.from_bytes(raw).to_bytes()

    def seal(raw: bytes) -> bytes:
        body = raw[5:-2]
        return raw[:2] + bytes((len(body), len(body))) + raw[4:-2] + bytes((sum(body) & 0xFF, raw[-1]))

    golden = frames(
        "FF 68 08 08 68 01 02 0A 0A 05 00 00 01 1D 16",
        "FF 68 02 02 68 01 03 04 16",
        "FF 68 03 03 68 01 01 0B 0D 16",
        "FF 68 03 03 68 01 02 05 08 16",
        "FF 68 03 03 68 01 11 02 14 16",
    )
    return Family(ff68_codec.FRAMING, golden, again, seal, (Ff68PadSimulator, Ff68KeypadSimulator))


def xinrui() -> Family:
    def again(raw: bytes) -> bytes:
        if len(raw) == 5:
            return xinrui_codec.encode_reply(xinrui_codec.decode_reply(raw))
        return xinrui_codec.encode_text(xinrui_codec.decode_text(raw))

    def seal(raw: bytes) -> bytes:
        return raw[:-1] + bytes((reduce(xor, raw[2:-1], 0),))

    golden = frames("A0 90 01 A5 00 05 C7 EB 00 38 01 B4", "A0 90 01 A5 AA", "A0 90 01 A5 55")
    framing = xinrui_codec.XinruiFraming()
    return Family(framing, golden, again, seal, (XinruiSimulator,), lambda frame: len(frame) > 5)


def alpha() -> Family:
    def again(raw: bytes) -> bytes:
        packet = alpha_codec.decode_packet(raw)
        with contextlib.suppress(CodecError):
            alpha_codec.read_text(packet.data)
        alpha_codec.read_status(packet)
        if is_loose(raw):
            raise RemoteCodecError("one of several ways to say it")
        nuls = raw[: len(raw) - len(raw.lstrip(b"\0"))]
        return nuls + alpha_codec.encode_packet(packet).lstrip(b"\0")

    def is_loose(raw: bytes) -> bool:
        """No checksum, or a wildcard."""
        head, _, inside = raw.lstrip(b"\0").partition(bytes((alpha_codec.STX,)))
        return bytes((alpha_codec.ETX,)) not in inside or b"?" in head

    def seal(raw: bytes) -> bytes:
        inside = raw[raw.find(alpha_codec.STX) : -5]
        return raw[:-5] + f"{sum(inside) & 0xFFFF:04X}".encode() + raw[-1:]

    packets = (
        alpha_codec.write_text(1, alpha_codec.Text("A001 TO 3", alpha_codec.Mode.FLASH)),
        alpha_codec.write_text(0, alpha_codec.Text()),
        alpha_codec.ask_status(2),
        alpha_codec.dim(1, 72),
        alpha_codec.status_answer(0x10),
    )
    golden = [alpha_codec.encode_packet(packet) for packet in packets]
    return Family(alpha_codec.AlphaFraming(), golden, again, seal, (AlphaSimulator,), is_loose)


FAMILIES: dict[str, Family] = {
    "alpha": alpha(),
    "pinganlihe": pinganlihe(),
    "onbon_bx": onbon_bx(),
    "ff68": ff68(),
    "xinrui": xinrui(),
}


def mutations(family: Family, noise: random.Random) -> Iterator[bytes]:
    """For ever: frames that are flipped, cut, doubled, joined, or wrong inside a right wrapper."""
    golden, count = family.golden, len(family.golden)
    while True:
        frame = bytearray(golden[int(noise.random() * count)])
        place = int(noise.random() * len(frame))
        match noise.getrandbits(3):
            case 0:
                yield bytes(frame[:place])
            case 1:
                yield bytes(frame[place:])
            case 2:
                yield bytes(frame[:place]) + bytes(frame)
            case 3:
                yield bytes(frame[:place]) + golden[int(noise.random() * count)]
            case 4:
                frame[place] = noise.getrandbits(8)
                yield bytes(frame)
            case 5:
                frame[place:place] = frame[place : place + 4]
                yield family.seal(bytes(frame))
            case _:
                for _ in range(3):
                    frame[int(noise.random() * len(frame))] = noise.getrandbits(8)
                yield family.seal(bytes(frame))


def reads(family: Family, frame: bytes) -> bool:
    """Whether the codec takes what the framing took; then it gives the same bytes again."""
    try:
        again = family.again(frame)
    except CodecError:
        assert family.has_text(frame), f"{frame.hex(' ')} is a frame for the framing and none for the codec"
        return False
    assert again == frame, f"{frame.hex(' ')} comes back as {again.hex(' ')}"
    return True


@contextlib.contextmanager
def in_time(what: str, seconds: float = HANGS_AFTER_S) -> Iterator[None]:
    """A round that hangs is an error, not an endless test."""

    def hangs(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"{what} hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def devices(family: Family) -> Iterator[WireSimulator]:
    """Every simulator of the family with every fault in turn, for ever; each has a clock that goes on."""
    makers = [(make, fault) for make in family.simulators for fault in (None, *make(None).FAULTS)]
    for make, fault in itertools.cycle(makers):
        device = make(fault)
        device.now = partial(next, itertools.count())
        yield device


def survive(deframer: Deframer, device: WireSimulator, heard: Sequence[bytes], family_of: dict[int, Family]) -> int:
    """One round; how many frames came out of the deframer and through the codec."""
    taken, framed, garbage = 0, 0, deframer.garbage
    for frame in heard:
        assert isinstance(device.feed(frame), bytes)
        for found in deframer.feed(frame):
            framed += len(found.frame)
            assert found.framing.probe(found.frame) == len(found.frame)
            found.framing.address_of(found.frame)
            taken += reads(family_of[id(found.framing)], found.frame)
    deframer.clear()
    assert framed + deframer.garbage - garbage == sum(map(len, heard)), "bytes got lost"
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_mutated_frames_of_a_family_raise_nothing_but_codec_errors(name: str) -> None:
    family, noise = FAMILIES[name], random.Random(f"{SEED} {name}")
    mutated, devices_in_turn = mutations(family, noise), devices(family)
    deframer = Deframer()
    deframer.add(family.framing)
    taken, rounds = 0, A_CODEC // ROUND
    for number in range(rounds):
        heard = list(itertools.islice(mutated, ROUND))
        with in_time(f"{name}, round {number}"):
            for frame in heard:
                assert -1 <= family.framing.probe(frame) <= len(frame)
                with contextlib.suppress(CodecError):
                    family.again(frame)
            taken += survive(deframer, next(devices_in_turn), heard, {id(family.framing): family})
    assert taken > rounds * ROUND // 10, "hardly a mutation is a frame: this tests too little"


@pytest.mark.slow
def test_mutated_frames_of_families_on_one_bus_are_told_apart() -> None:
    noise, deframer = random.Random(SEED), Deframer()
    families = list(FAMILIES.values())
    for family in families:
        deframer.add(family.framing)
    sources = [(mutations(family, noise), devices(family)) for family in families]
    family_of = {id(family.framing): family for family in families}
    taken = 0
    for number in range(MIXED // ROUND):
        heard = [next(noise.choice(sources)[0]) for _ in range(ROUND)]
        with in_time(f"round {number}"):
            taken += survive(deframer, next(noise.choice(sources)[1]), heard, family_of)
    assert taken > MIXED // 10


@pytest.mark.slow
def test_mutated_key_events_raise_nothing_but_codec_errors() -> None:
    noise, decoder = random.Random(SEED), KeyDecoder()
    press = [Event(EV_KEY, 2, 1, 1, 5), Event(EV_SYN, SYN_REPORT, 0), Event(EV_SYN, SYN_DROPPED, 0)]
    golden = [*(event.to_bytes() for event in press), b"".join(event.to_bytes() for event in press[:2])]
    family = Family(ff68_codec.FRAMING, golden, bytes, bytes, ())  # a stream of events of one size: no framing
    presses = refused = 0
    with in_time("keyboard", HANGS_AFTER_S * 20):
        for frame in itertools.islice(mutations(family, noise), A_CODEC):
            try:
                presses += len(decoder.feed(frame))
            except CodecError:
                refused += 1
    assert presses > A_CODEC // 1000
    assert refused > A_CODEC // 10
    decoder.reset()
    assert decoder.feed(golden[-1]) == [Press(2, 1.000005)]  # and it still hears


@pytest.mark.slow
def test_mutated_answers_of_a_tablet_raise_nothing_but_codec_errors() -> None:
    noise, rates = random.Random(SEED), 0
    answers = [
        Rate(score, "0" * 8 + "-0000" * 3 + "-" + f"{score:012}", f"w1-{score}", "请A001") for score in range(1, 6)
    ]
    answers.append(Rate(3, "0123abcd-0123-4567-89ab-0123456789ab"))
    golden = [answer.to_text().encode() for answer in answers]
    golden.append(b'{"v":1,"rate":5,"answer":"' + answers[0].answer.encode() + b'"}')
    family = Family(ff68_codec.FRAMING, golden, bytes, bytes, ())  # a message comes whole: no framing
    with in_time("webpad", HANGS_AFTER_S * 20):
        for raw in itertools.islice(mutations(family, noise), A_CODEC):
            with contextlib.suppress(CodecError):
                rate = read_rate(raw.decode("utf-8", "replace"))
                assert read_rate(rate.to_text()) == rate
                rates += 1
    assert rates > A_CODEC // 100


def test_golden_frames_come_back_as_they_went() -> None:
    for name, family in FAMILIES.items():
        assert all(reads(family, frame) for frame in family.golden), name
        assert all(family.framing.probe(frame) == len(frame) for frame in family.golden), name
