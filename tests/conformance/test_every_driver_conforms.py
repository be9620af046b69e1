"""Every installed driver passes the suite that vendors run."""

import pytest

from hallctl.driver import driver_names, load_driver
from hallctl.driver.conformance import CHECKS


@pytest.mark.parametrize("name", driver_names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_driver_conforms(name, check):
    await check(load_driver(name))
