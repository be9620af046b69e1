"""The topics of the contract, built and read; pure."""

import re
from dataclasses import dataclass

ROOT = "hall/v1"
_TOPIC = re.compile(rf"^{ROOT}/(?P<site>[^/+#]+)/(?P<controller>[^/+#]+)/(?P<rest>[^+#]+)$")


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of one controller."""

    site: str
    controller: str

    @property
    def prefix(self) -> str:
        """What the controller's credential allows; also the ``source`` of its envelopes."""
        return f"{ROOT}/{self.site}/{self.controller}"

    @property
    def client_id(self) -> str:
        """What the controller calls itself at the broker; its access list may want this beginning."""
        return f"hallctl-{self.site}_{self.controller}"  # no id holds a low line: no two controllers share one

    @property
    def state(self) -> str:
        """Birth, lease, death; retained."""
        return f"{self.prefix}/state"

    def terminal(self, terminal: str) -> str:
        """A terminal's state; retained."""
        return f"{self.prefix}/terminal/{terminal}/state"

    def event(self, kind: str) -> str:
        """An event; never retained."""
        return f"{self.prefix}/event/{kind}"

    def alert(self, alert: str) -> str:
        """An alert; retained while it is open."""
        return f"{self.prefix}/alert/{alert}"

    @property
    def desired(self) -> str:
        """The hall document that the centre wants; retained."""
        return f"{self.prefix}/config/desired"

    @property
    def reported(self) -> str:
        """What became of it; retained."""
        return f"{self.prefix}/config/reported"

    def command(self, name: str) -> str:
        """A request of the centre; never retained."""
        return f"{self.prefix}/command/{name}"

    def reply(self, command: str) -> str:
        """The answer to a command; never retained."""
        return f"{self.prefix}/reply/{command}"

    @property
    def enroll_request(self) -> str:
        """The box asks for a certificate; retained until it is answered."""
        return f"{self.prefix}/enroll/request"

    @property
    def enroll_certificate(self) -> str:
        """The desk's answer; retained."""
        return f"{self.prefix}/enroll/certificate"


@dataclass(frozen=True, slots=True)
class Place:
    """A topic taken apart: ``kind`` is state, terminal, event, alert, config, command, reply or enroll."""

    topics: Topics
    kind: str
    name: str


def read_topic(topic: str) -> Place | None:
    """Take a topic apart; ``None`` when it is none of the contract's."""
    match = _TOPIC.match(topic)
    if match is None:
        return None
    topics = Topics(match["site"], match["controller"])
    levels = match["rest"].split("/")
    match levels:
        case ["state"]:
            return Place(topics, "state", "")
        case ["terminal", name, "state"]:
            return Place(topics, "terminal", name)
        case [("event" | "alert" | "config" | "command" | "reply" | "enroll") as kind, name]:
            return Place(topics, kind, name)
    return None


def filters(site: str = "+", controller: str = "+") -> tuple[str, ...]:
    """What a reader at the centre subscribes to."""
    base = f"{ROOT}/{site}/{controller}"
    return (
        f"{base}/state",
        f"{base}/terminal/+/state",
        f"{base}/event/+",
        f"{base}/alert/+",
        f"{base}/config/reported",
    )
