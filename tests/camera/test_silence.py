"""A camera that went silent is told from one that broke off, whoever notices first."""

import av
import pytest

from hallctl.camera import worker

BROKE = av.FFmpegError(5, "Input/output error")


class Packet:
    size = 1


class Source:
    """A camera that sends a packet, is quiet for ``quiet_s``, and then ends with ``error``, or simply."""

    def __init__(self, clock, quiet_s, error):
        self.clock, self.quiet_s, self.error = clock, quiet_s, error
        self.streams = self
        self.video = [None]

    def demux(self, _stream):
        yield Packet()
        self.clock.passed += self.quiet_s
        if self.error is not None:
            raise self.error
        end = Packet()
        end.size = 0
        yield end


class Clock:
    passed = 0.0

    def monotonic(self):
        return self.passed


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(worker, "time", clock)
    return clock


def code_of(source, *, live=True):
    with pytest.raises((av.FFmpegError, TimeoutError)) as caught:
        list(worker.packets_of(source, live=live))
    return worker.explain(caught.value)[0]


@pytest.mark.parametrize("error", [BROKE, None])
def test_silence_up_to_the_limit_is_stalled_whatever_ffmpeg_calls_it(clock, error):
    assert code_of(Source(clock, worker.READ_TIMEOUT_S, error)) == "camera.stalled"


def test_a_stream_that_breaks_off_is_unreachable(clock):
    assert code_of(Source(clock, 0.5, BROKE)) == "camera.unreachable"


def test_the_end_of_a_stream_is_its_end(clock):
    assert len(list(worker.packets_of(Source(clock, 0.5, None), live=True))) == 2


def test_time_that_the_watcher_takes_is_no_silence(clock):
    packets = worker.packets_of(Source(clock, 0.5, None), live=True)
    next(packets)
    clock.passed += 60
    assert next(packets).size == 0


def test_a_recording_is_never_silent(clock):
    assert len(list(worker.packets_of(Source(clock, 60, None), live=False))) == 2
