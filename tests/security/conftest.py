"""A CA and a guarded mosquitto."""

import pytest
from conftest import MOSQUITTO
from security.hall_pki import GuardedBroker, Pki


@pytest.fixture
def pki(tmp_path):
    """A CA with its folder."""
    return Pki(tmp_path / "pki")


@pytest.fixture
def guarded(tmp_path, pki):
    """mosquitto as configs/broker/mosquitto sets it up."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: scripts/test installs it")
    broker = GuardedBroker(tmp_path / "broker", pki)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
