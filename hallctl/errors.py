"""The error tree of the house: the class decides about retrying, the hint tells a person what to do.

Library exceptions are translated into these where they enter (``raise ... from exc``), so that nothing above
a room needs to know which library it uses. This module imports nothing.
"""


class HallctlError(Exception):
    """Root of every error that hallctl raises on purpose.

    ``message`` says what is wrong; ``hint`` says, in plain words, what a technician can do about it. ``code`` is stable
    and explained in the book of faults: the class's own where nothing closer is given; empty: there is none.
    """

    code = ""

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or type(self).code

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(HallctlError):
    """A document of configuration is wrong. ``path`` and ``line`` (from 1, 0: unknown) say where."""

    def __init__(self, message: str, *, path: str = "", line: int = 0, pointer: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.pointer = pointer

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        where = f"{place}: " if self.path else ""
        return where + super().__str__()


class TransportError(HallctlError):
    """Bytes could not be moved. Retried by the supervisor with back-off.

    ``code`` is stable and goes into the terminal's state (``port.lost``, ``port.absent``, ...).
    """

    code = "port.error"


class TransportUnavailable(TransportError):
    """The port could not be opened: absent, refused, no permission, held by another process."""

    code = "port.unavailable"


class TransportTimeout(TransportError):
    """The peer did not answer in time."""

    code = "device.mute"


class TransportLost(TransportError):
    """The port was open and is gone: unplugged, closed by the peer."""

    code = "port.lost"


class CodecError(HallctlError):
    """Bytes and frames do not agree."""

    code = "device.garbage"


class LocalCodecError(CodecError):
    """We were asked to build a frame that the protocol can't carry: our side's mistake."""

    code = "request.invalid"


class RemoteCodecError(CodecError):
    """The peer sent what the protocol forbids."""


class TerminalError(HallctlError):
    """A terminal can't do what it was asked."""

    code = "terminal.error"


class TerminalOffline(TerminalError):
    """The terminal is not online now. ``code`` is the reason in its state."""

    code = "terminal.offline"


class TerminalBusy(TerminalError):
    """The terminal's bounded queue of commands is full: the command is rejected, nothing was done."""

    code = "terminal.busy"


class Withdrawn(TerminalError):
    """A poll that was still waiting for its turn on a bus made way for a call to the same terminal. No fault."""

    code = "poll.withdrawn"


class Fault(TerminalError):
    """The device reports a fault (paper out, cover open ...); nothing of the request was done."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class NothingDone(TerminalError):
    """The port or the device failed before anything of the request was sent. Ends the terminal's session.

    A driver raises it instead of a ``TransportError`` where it is sure; then another terminal may do the work.
    """

    code = "terminal.error"


class Mismatch(TerminalError):
    """The device at this port is not the one that the configuration names."""

    code = "device.mismatch"


class DriverBug(HallctlError):
    """A driver raised what it should not while it acted: nobody knows what was done. Ends the terminal's session."""

    code = "driver.bug"


class DriverLoadError(HallctlError):
    """A driver package can't be loaded. Its terminals are quarantined, the others run."""

    code = "driver.load"


class RequestRefused(HallctlError):
    """What was asked makes no sense in this hall (unknown window, paused window ...): nothing was done."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class LinkError(HallctlError):
    """The broker can't be reached, or refuses; ``code`` says which, where that is known."""

    code = "link.error"


class LocalError(HallctlError):
    """The daemon's local socket can't be made, reached or understood."""

    code = "local.error"


class BrokerUnable(LinkError):
    """The broker failed at our connect, or has no room: its own trouble, not our name or password."""

    code = "link.broker_unable"


class CertificateRefused(LinkError):
    """The broker does not accept our certificate."""

    code = "link.certificate"


class EnrollError(HallctlError):
    """A key, a request or a certificate can't be used, or may not be signed; ``code`` says which."""

    code = "enroll.error"


class StateDirError(HallctlError):
    """The state directory is not one that the daemon may trust with what it keeps."""


class BackupError(HallctlError):
    """A backup can't be made, or can't be put back."""


class OutboxError(HallctlError):
    """The durable event log can't be read or written."""

    code = "outbox.error"


class TwinError(HallctlError):
    """What the centre wants can't be kept on disk, or is damaged there."""

    code = "twin.error"
