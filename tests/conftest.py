"""Real brokers for tests: mosquitto on a free port of 127.0.0.1, or iotcore from pip."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from published import events_are_as_published, logs_are_as_published  # noqa: F401  # fixtures of every test

# A busy machine is no failure: nothing here is judged by its time.
settings.register_profile("hallctl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hallctl")

os.environ["HALLCTL_LANG"] = "en"  # tests read what the command line says, whatever the developer's locale

MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
IOTCORE_TOML = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "test"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""


class TestBroker:
    """A broker process that a test can stop, kill and start again on the same port."""

    __test__ = False

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self.host = "127.0.0.1"
        self.port = _free_port()
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.extra = ""

    def start(self) -> None:
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(self._arguments(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self.folder / "broker.log").read_text(errors="replace"))

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None:
            for _ in range(20):  # a mosquitto that has just begun may miss the first SIGTERM
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.5)
                    break
            else:
                raise AssertionError(f"the {self.kind} of {self.folder} does not end")
            self._process = None

    def _arguments(self) -> list[str]:
        if self.kind == "iotcore":
            config = self.folder / "iotcore.toml"
            config.write_text(IOTCORE_TOML.format(port=self.port))
            return [sys.executable, "-m", "iotcore", "--config", str(config), "--log-level", "ERROR"]
        config = self.folder / "mosquitto.conf"
        lines = [f"listener {self.port} {self.host}", "max_packet_size 262144", "max_queued_messages 10000"]
        if os.geteuid() == 0:
            lines.append("user root")  # else it becomes the user mosquitto and can't read the test's folder
        lines += [self.extra] if self.extra else ["allow_anonymous true"]
        config.write_text("\n".join(lines) + "\n")
        return [MOSQUITTO or "mosquitto", "-c", str(config)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def broker(tmp_path):
    """A running mosquitto without access control."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: scripts/test installs it")
    broker = TestBroker(tmp_path, "mosquitto")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(params=["mosquitto", "iotcore"])
def any_broker(request, tmp_path):
    """Each broker that the demo may use."""
    if request.param == "mosquitto" and MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: scripts/test installs it")
    broker = TestBroker(tmp_path, request.param)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def make_broker(tmp_path):
    """A running broker of a kind; several in one test have folders of their own."""
    made = []

    def make(kind):
        if kind == "mosquitto" and MOSQUITTO is None:
            pytest.skip("mosquitto is not installed: scripts/test installs it")
        folder = tmp_path / f"broker-{len(made)}"
        folder.mkdir()
        made.append(TestBroker(folder, kind))
        made[-1].start()
        return made[-1]

    yield make
    for broker in made:
        broker.stop()
