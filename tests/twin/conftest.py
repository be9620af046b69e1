"""One box for each test."""

import contextlib

import pytest
from twin.world import World


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    world.start()
    yield world
    with contextlib.suppress(Exception):
        await world.stop()
