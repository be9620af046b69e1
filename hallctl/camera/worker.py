"""The child process of one camera: ``python -m hallctl.camera.worker``.

It opens the stream, looks at the posts, keeps the ring and takes clips. A read that hangs or a decoder that crashes
takes only this process along; the daemon kills and replaces it. It ends when its standard input ends.
"""

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from hallctl.camera.detectors import load_detector
from hallctl.camera.messages import Job, Stream, line
from hallctl.camera.watcher import Tape, Watcher
from hallctl.errors import HallctlError

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 8.0
RETRY_FIRST_S, RETRY_LAST_S = 1.0, 30.0
_LOCK = threading.Lock()


def say(kind: str, **fields: Any) -> None:
    """One line to the daemon."""
    with _LOCK:
        sys.stdout.buffer.write(line(kind, **fields))
        sys.stdout.buffer.flush()


def open_stream(stream: Stream) -> Any:
    """The stream's container, from PyAV. Raises what PyAV raises."""
    timeout = None if Path(stream.url).is_file() else (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
    began = time.monotonic()
    try:
        source = av.open(stream.url, format=stream.container, options=stream.options, timeout=timeout)
    except av.InvalidDataError as exc:
        if timeout is not None and time.monotonic() - began >= 0.9 * min(timeout):
            raise TimeoutError from exc  # FFmpeg calls a camera that hangs while it is opened bad data
        raise
    if not source.streams.video:
        raise HallctlError("the stream has no picture", hint="check url: it leads to sound only")
    return source


def packets_of(source: Any, *, live: bool) -> Iterator[Any]:
    """The packets of its picture. Raises what PyAV raises, and ``TimeoutError`` for a camera that went silent.

    FFmpeg has a limit of its own for silence, and calls it an error of reading, or the end, where it is the first to
    notice.
    """
    asked = time.monotonic()
    try:
        for packet in source.demux(source.streams.video[0]):
            if packet.size == 0 and live and _was_silent(asked):
                raise TimeoutError
            yield packet
            asked = time.monotonic()
    except av.FFmpegError as exc:
        if live and _was_silent(asked):
            raise TimeoutError from exc
        raise


def _was_silent(since: float) -> bool:
    return time.monotonic() - since >= 0.9 * READ_TIMEOUT_S


def watch(job: Job, commands: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """Watch until the stream ends; raises what PyAV raises."""
    watcher = Watcher(job, load_detector(Path(job.model), kind=job.model_kind, sha256=job.model_sha256), say)
    source = open_stream(job.watch)
    watcher.open(source.streams.video[0])
    if job.record is not None:
        threading.Thread(target=record_for_ever, args=(job, job.record, watcher.tape), daemon=True).start()
    pace = _Pace() if Path(job.watch.url).is_file() else None
    for packet in packets_of(source, live=pace is None):
        if pace is not None:
            pace.wait(packet)
        watcher.take(packet, time.time())
        while not commands.empty():
            _obey(watcher, commands.get())
    watcher.tape.settle()


def record_for_ever(job: Job, stream: Stream, tape: Tape) -> None:
    """Keep the stream that clips are made of; it comes and goes without the other."""
    pause_s, told = RETRY_FIRST_S, ""
    while True:
        try:
            source = open_stream(stream)
            tape.open(source.streams.video[0])
            if told:
                say("recording", code="", message="", hint="")
            pause_s, told = RETRY_FIRST_S, ""
            for packet in packets_of(source, live=not Path(stream.url).is_file()):
                if packet.size:
                    tape.add(packet, time.time())
            code, message, hint = "camera.ended", "the stream has ended", ""
        except (HallctlError, av.FFmpegError, OSError) as exc:
            code, message, hint = explain(exc)
        if told != code:
            told = code
            say("recording", code=code, message=_without_secrets(message, job), hint=hint)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, RETRY_LAST_S)


class _Pace:
    """A recording that stands for a camera plays at its own pace."""

    def __init__(self) -> None:
        self._began = time.time()

    def wait(self, packet: Any) -> None:
        if packet.pts is not None:
            time.sleep(max(0.0, self._began + float(packet.pts * packet.time_base) - time.time()))


def _obey(watcher: Watcher, command: dict[str, Any]) -> None:
    try:
        watcher.obey(command)
    except (OSError, ValueError, av.FFmpegError) as exc:
        message = getattr(exc, "strerror", None) or str(exc)
        say("failed", request=command["do"], name=command["name"], message=message)


def explain(exc: BaseException) -> tuple[str, str, str]:  # noqa: PLR0911  # one return a kind of error
    """An error of PyAV as code, message and hint."""
    network = "check the camera's power, cable and address"
    match exc:
        case HallctlError():
            return "camera.model" if "model" in exc.message else "camera.no_picture", exc.message, exc.hint
        case av.HTTPUnauthorizedError() | av.HTTPForbiddenError():
            return "camera.unauthorised", "the camera refuses user and password", "check username and password"
        case av.HTTPNotFoundError():
            return "camera.no_such_stream", "the camera has no stream of this name", "check the path in url"
        case av.ExitError() | TimeoutError():
            return "camera.stalled", "the camera sends nothing, or has stopped sending", network
        case FileNotFoundError():
            return "camera.unreachable", "there is no such device or file", "check url"
        case PermissionError():
            return "camera.unreachable", "the device may not be read", "put the daemon's user into the group video"
        case av.FFmpegError() | OSError():
            return "camera.unreachable", f"the stream can't be read: {exc.strerror or exc}", network
    return "camera.failed", repr(exc), "tell the maintainers; the log has the trace"


def main() -> int:
    """Read the job from standard input, work, say why it ended."""
    av.logging.set_level(None)
    job = Job.decode(sys.stdin.readline())
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands,), daemon=True).start()
    try:
        watch(job, commands)
    except (HallctlError, av.FFmpegError, OSError) as exc:
        code, message, hint = explain(exc)
        say("error", code=code, message=_without_secrets(message, job), hint=hint)
        return 1
    say("error", code="camera.ended", message="the stream has ended", hint="")
    return 0


def _listen(commands: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for text in sys.stdin:
        commands.put(json.loads(text))
    os._exit(0)  # the daemon has gone


def _without_secrets(text: str, job: Job) -> str:
    for stream in (job.watch, job.record):
        if stream is not None:
            text = text.replace(stream.url, stream.shown)
    return text


if __name__ == "__main__":
    sys.exit(main())
