"""What this controller has retained at the broker, or would have if it had one: for `hallctl status` at the box."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from hallctl import __version__
from hallctl.clock import Clock
from hallctl.config import ControllerConfig
from hallctl.link import Topics
from hallctl.link.configuration import Reported, encode_reported
from hallctl.link.payloads import ControllerState, alert_envelope, terminal_payload
from hallctl.local import Asked
from hallctl.model import Alert, Identity, TerminalState


class Standing:
    """The same topics and payloads as over MQTT, made anew from what is true now."""

    def __init__(
        self,
        config: ControllerConfig,
        identity: Identity,
        clock: Clock,
        last_seq: Callable[[], int],
        open_alerts: Callable[[], tuple[Alert, ...]],
    ) -> None:
        self.states: Callable[[], Mapping[str, TerminalState]] = dict
        self.reported: Reported | None = None
        self._config = config
        self._identity = identity
        self._clock = clock
        self._since = clock.now()
        self._last_seq = last_seq
        self._open_alerts = open_alerts
        self._topics = Topics(identity.site, identity.controller)

    async def stream(self, _asked: Asked) -> AsyncGenerator[dict[str, Any], None]:
        """The local stream ``retained``: one record a message, ``topic`` and ``payload``; then it ends."""
        for topic, payload in self._messages():
            yield {"topic": topic, "payload": payload.decode()}

    def _messages(self) -> list[tuple[str, bytes]]:
        topics, now = self._topics, self._clock.now()
        found = [(topics.state, self._state().encode())]
        boot, states = self._identity.boot, self.states()
        found += [(topics.terminal(name), terminal_payload(one, boot).encode()) for name, one in states.items()]
        alerts = self._open_alerts()
        found += [(topics.alert(one.id), alert_envelope(one, self._identity, now).encode()) for one in alerts]
        if self.reported is not None:
            found.append((topics.reported, encode_reported(self.reported)))
        return found

    def _state(self) -> ControllerState:
        config = self._config
        return ControllerState.model_validate(
            {
                "status": "online",
                "boot": self._identity.boot,
                "since": self._since,
                "at": self._clock.now(),
                "lease_s": config.lease_s,
                "last_seq": self._last_seq(),
                "version": __version__,
                "name": config.name,
                "groups": list(config.groups),
                "tags": list(config.tags),
            }
        )
