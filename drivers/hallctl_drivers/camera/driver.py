"""Cameras: how a stream is opened. The camera room does the watching, in a child process."""

from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from hallctl.driver import Camera, CaptureSpec, TerminalContext
from hallctl_drivers.camera.config import CameraOptions

TIMEOUT_US = 8_000_000  # FFmpeg's own limit for connecting and for silence


class StreamCamera(Camera):
    """RTSP, HTTP MJPEG, V4L2 or a file."""

    def __init__(self, context: TerminalContext, options: CameraOptions) -> None:
        self._terminal = context.terminal
        self._options = options

    def capture(self) -> CaptureSpec:
        """What PyAV needs to open the stream; the URL with credentials is for the child process alone."""
        options = self._options
        scheme = urlsplit(options.url).scheme
        container: str | None = None
        parameters: dict[str, Any] = {}
        if scheme == "rtsp":
            parameters = {"rtsp_transport": options.transport, "timeout": str(TIMEOUT_US)}
        elif scheme in ("http", "https"):
            container, parameters = "mpjpeg", {"rw_timeout": str(TIMEOUT_US)}
        elif options.url.startswith("/dev/"):
            container = "v4l2"
        return CaptureSpec(
            url=self._with_credentials(),
            shown_url=options.url,
            container=container,
            options=parameters,
            remux=container is None,
            check_every_s=options.check_every_s,
            min_score=options.min_score,
            model=str(options.model) if options.model else None,
        )

    def _with_credentials(self) -> str:
        options = self._options
        if options.username is None:
            return options.url
        secret = options.password.resolve() if options.password else ""
        parts = urlsplit(options.url)
        user = f"{quote(options.username, safe='')}:{quote(secret, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))
