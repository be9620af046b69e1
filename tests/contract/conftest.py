"""The brokers that the contract has to hold on, each with what it can't do; and simulated controllers on them."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import TestBroker
from contract.clusters import Balancer, Cluster, missing
from fleet.conftest import CLOCK, Fleet

from hallctl.fleet.desk import Desk
from hallctl.link import BrokerSettings, Session


@dataclass(frozen=True)
class Place:
    """Where a broker is, and what it is known to lose.

    ``restart``: killed, and back without anything that it knew; ``crash``: killed, and back with what is on ``disk``.
    """

    name: str
    settings: BrokerSettings
    keeps_sessions: bool = True
    retains_everywhere: bool = True
    most_boxes: int = 30
    restart: Callable[[], None] = lambda: None
    disk: Path | None = None
    crash: Callable[[], None] | None = None

    def session(self, name: str) -> Session:
        """Somebody at this broker."""
        user = f"{name}@localhost" if self.settings.username else None
        return Session(replace(self.settings, client_id=name, username=user))

    def desk(self) -> Desk:
        """A desk that listens where the broker does not retain everything everywhere."""
        return Desk(self.settings, CLOCK, "li@centre", listen_s=0.0 if self.retains_everywhere else 1.5)


MOSQUITTO_CONF = Path(__file__).parents[2] / "configs/broker/mosquitto/mosquitto.conf"
LEFT_OUT = (
    "allow_anonymous",
    "acl_file",
    "clientid_prefixes",
    "max_packet_size",
    "max_queued_messages",
)  # or set by TestBroker
MOST_AT_IOTCORE = 12  # of 8 retained topics each: a wildcard brings at most 100 there
KINDS = [
    pytest.param("mosquitto", id="mosquitto"),
    pytest.param("mosquitto-3.1.1", id="mosquitto-3.1.1"),
    pytest.param("iotcore", id="iotcore"),
    pytest.param("cluster", id="ejabberd-cluster", marks=pytest.mark.slow),
    pytest.param("cluster-3.1.1", id="ejabberd-cluster-3.1.1", marks=pytest.mark.slow),
]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three ejabberd nodes."""
    if why := missing():
        pytest.skip(why)
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Each broker in turn."""
    kind: str = request.param
    version = "3.1.1" if kind.endswith("3.1.1") else "5"
    if kind.startswith("cluster"):
        nodes: Cluster = request.getfixturevalue("cluster")
        async with Balancer(nodes.ports) as balancer:
            settings = BrokerSettings(
                "127.0.0.1",
                balancer.port,
                protocol=version,
                username="desk@localhost",
                password="x",  # noqa: S106
            )
            yield Place(kind, settings, keeps_sessions=False, retains_everywhere=False)
        return
    yield place_of(request.getfixturevalue("make_broker")("iotcore" if kind == "iotcore" else "mosquitto"), kind)


def place_of(broker: TestBroker, kind: str) -> Place:
    """A single broker; mosquitto with the settings of configs/broker/mosquitto."""
    version = "3.1.1" if kind.endswith("3.1.1") else "5"
    settings = BrokerSettings(broker.host, broker.port, protocol=version)
    if kind == "iotcore":
        return Place(kind, settings, keeps_sessions=False, most_boxes=MOST_AT_IOTCORE, restart=lambda: again(broker))
    folder = broker.folder / "kept"
    folder.mkdir(exist_ok=True)
    broker.extra = production_settings(folder)
    again(broker)

    def forget() -> None:
        shutil.rmtree(folder)
        folder.mkdir()

    return Place(kind, settings, restart=lambda: again(broker, forget), disk=folder, crash=lambda: again(broker))


def again(broker: TestBroker, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Killed, and started on the same port. A mosquitto that has just begun may miss a SIGTERM and go on for ever."""
    broker.kill()
    meanwhile()
    broker.start()


def production_settings(folder: Path) -> str:
    """What configs/broker/mosquitto says of persistence and limits; tests/security tries TLS and the access list."""
    lines = MOSQUITTO_CONF.read_text(encoding="utf-8").split("\nlistener ")[0].splitlines()
    kept = [line for line in lines if line and not line.startswith(("#", *LEFT_OUT))]
    return "\n".join([*kept, "allow_anonymous true", f"persistence_location {folder}/"])


@pytest.fixture
async def boxes(place: Place, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Simulated controllers at this broker: the real session, uplink, outbox and twin."""

    class At:
        host, port = place.settings.host, place.settings.port

    fleet = Fleet(tmp_path, At())
    fleet.settings = place.settings
    yield fleet
    with contextlib.suppress(Exception):
        await fleet.stop()
