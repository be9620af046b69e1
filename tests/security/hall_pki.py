"""A hall's keys and its broker for tests: certificates by hallctl's own CA, mosquitto as the example sets it up."""

import os
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from conftest import MOSQUITTO  # the one of tests/

from hallctl.enroll.authority import Authority
from hallctl.enroll.identity import Identity
from hallctl.enroll.keys import read_csr
from hallctl.link import BrokerSettings, Session, Tls

RUNNING, RELOADING = " running\n", "Reloading config.\n"
EXAMPLE = Path(__file__).resolve().parents[2] / "configs" / "broker" / "mosquitto"


class Pki:
    """A CA in a folder and what it has signed. ``at`` of ``issue``: when it is signed; some are over already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = Authority.create(folder / "ca", "test CA", datetime.now(UTC) - timedelta(days=30))
        self.ca_file = folder / "ca" / "ca.pem"

    def issue(self, name: str, *hosts: str, at: datetime | None = None, days: float = 10) -> Path:
        """A file with key and certificate."""
        identity = Identity(self.folder / f"{name.replace('/', '_').replace(':', '-')}.pem")
        asked = identity.ask(name, hosts, anew=True)
        signed = self.ca.sign(read_csr(asked.csr, name), at or datetime.now(UTC), by="test", days=days)
        moment = (at or datetime.now(UTC)) + timedelta(seconds=1)
        identity.install(signed.encode(), name, name=name, anchors=[], now=moment, server=bool(hosts))
        identity.confirm()
        return identity.path

    def tls(self, name: str) -> Tls:
        return Tls(self.ca_file, self.issue(name))


class GuardedBroker:
    """mosquitto with the example's files; ``acl`` and ``crl`` are copied in by ``place``."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.machines, self.desks = _free_ports(2)
        self.host = "localhost"
        self._folder = folder
        self._etc = folder / "etc"
        self._etc.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.place("ca.pem", pki.ca_file.read_text())
        self.place("crl.pem", pki.ca.crl_path.read_text())
        self.place("broker.pem", pki.issue("broker:mq-1", "localhost").read_text())
        self.place("acl", (EXAMPLE / "acl").read_text())

    def place(self, name: str, text: str) -> None:
        (self._etc / name).write_text(text)

    def start(self) -> None:
        """It opens its ports before it can take a signal: its log says when it runs."""
        before = self.log().count(RUNNING)
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(self._arguments(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._until_logged(RUNNING, before)

    def reload(self) -> None:
        """SIGHUP, and wait until the log says that it came."""
        before = self.log().count(RELOADING)
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)
        self._until_logged(RELOADING, before)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def forget(self) -> None:
        """Lose everything that it kept; call it while it is stopped."""
        (self._folder / "mosquitto.db").unlink()

    def log(self) -> str:
        path = self._folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _until_logged(self, words: str, before: int) -> None:
        for _ in range(3000):  # a busy machine takes its time
            if self.log().count(words) > before:
                return
            assert self._process is not None
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(self.log())

    def session(self, tls: Tls | None, *, desk: bool = False, client_id: str = "hallctl-test", **more) -> Session:
        port = self.desks if desk else self.machines
        return Session(BrokerSettings(self.host, port, client_id=client_id, tls=tls, **more))

    def _arguments(self) -> list[str]:
        text = (EXAMPLE / "mosquitto.conf").read_text().replace("/etc/mosquitto/hallctl", str(self._etc))
        for port, mine in (("8883", self.machines), ("8884", self.desks)):
            assert text.count(f"listener {port}\n") == 1
            text = text.replace(f"listener {port}\n", f"listener {mine} 127.0.0.1\n")
        text += f"\npersistence_location {self._folder}/\nlog_type all\n"
        if os.geteuid() == 0:
            text += "user root\n"
        config = self._folder / "mosquitto.conf"
        config.write_text(text)
        return [MOSQUITTO or "mosquitto", "-c", str(config)]


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
