"""Cameras: how a stream is opened. The camera room does the watching, in a child process."""

from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from hallctl.driver import Camera, CaptureSpec, StreamSpec, TerminalContext
from hallctl_drivers.camera.config import CameraOptions

UDP_BUFFER = 4 << 20  # bytes: a key frame comes in one burst; the kernel allows up to net.core.rmem_max
TIMEOUT_US = 8_000_000  # FFmpeg's own limit for connecting and for silence


class StreamCamera(Camera):
    """RTSP, HTTP MJPEG, V4L2 or a file."""

    def __init__(self, context: TerminalContext, options: CameraOptions) -> None:
        self._terminal = context.terminal
        self._options = options

    def capture(self) -> CaptureSpec:
        """What PyAV needs to open the streams; a URL with credentials is for the child process alone."""
        options = self._options
        main = self._stream(options.url)
        sub = self._stream(options.sub_url) if options.sub_url else None
        return CaptureSpec(
            watch=sub or main,
            record=main if sub else None,
            check_every_s=options.check_every_s,
            min_score=options.min_score,
            masks=tuple(tuple(mask) for mask in options.masks),
            model=str(options.model) if options.model else None,
            model_kind=options.model_kind,
            model_sha256=options.model_sha256,
        )

    def _stream(self, url: str) -> StreamSpec:
        scheme = urlsplit(url).scheme
        container: str | None = None
        parameters: dict[str, Any] = {}
        if scheme in ("rtsp", "rtsps"):
            parameters = {"rtsp_transport": self._options.transport, "timeout": str(TIMEOUT_US)}
            if self._options.transport == "udp":
                parameters["buffer_size"] = str(UDP_BUFFER)
        elif scheme in ("http", "https"):
            # The parts of such a stream have no time of their own: they get the one at which they came.
            container, parameters = "mpjpeg", {"rw_timeout": str(TIMEOUT_US), "use_wallclock_as_timestamps": "1"}
        elif url.startswith("/dev/"):
            container = "v4l2"
            if self._options.video_format:
                parameters["input_format"] = self._options.video_format
            if self._options.video_size:
                parameters["video_size"] = self._options.video_size
        return StreamSpec(self._with_credentials(url), url, container, parameters)

    def _with_credentials(self, url: str) -> str:
        options = self._options
        if options.username is None:
            return url
        secret = options.password.resolve() if options.password else ""
        parts = urlsplit(url)
        user = f"{quote(options.username, safe='')}:{quote(secret, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))
