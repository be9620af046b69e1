"""The brokers that the contract has to hold on, each with what it can't do; and simulated controllers on them."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from contract.clusters import Balancer, Cluster, missing
from fleet.conftest import CLOCK, Fleet

from hallctl.fleet.desk import Desk
from hallctl.link import BrokerSettings, Session


@dataclass(frozen=True)
class Place:
    """Where a broker is, and what it is known to lose. ``lists``: most retained messages that a wildcard brings."""

    name: str
    settings: BrokerSettings
    keeps_sessions: bool = True
    retains_everywhere: bool = True
    most_boxes: int = 30
    restart: Callable[[], None] = lambda: None

    def session(self, name: str) -> Session:
        """Somebody at this broker."""
        user = f"{name}@localhost" if self.settings.username else None
        return Session(replace(self.settings, client_id=name, username=user))

    def desk(self) -> Desk:
        """A desk that listens where the broker does not retain everything everywhere."""
        return Desk(self.settings, CLOCK, "li@centre", listen_s=0.0 if self.retains_everywhere else 1.5)


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
    broker = request.getfixturevalue("make_broker")("iotcore" if kind == "iotcore" else "mosquitto")

    def restart() -> None:
        broker.kill()
        broker.start()

    settings = BrokerSettings(broker.host, broker.port, protocol=version)
    few = (
        kind == "iotcore"
    )  # a wildcard brings at most 100 retained messages there: brokers of the demo, not of a centre
    yield Place(kind, settings, keeps_sessions=not few, most_boxes=12 if few else 30, restart=restart)


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
