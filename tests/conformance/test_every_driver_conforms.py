"""Every installed driver passes the suite that vendors run."""

import pytest

from hallctl.driver import driver_names, load_driver
from hallctl.driver.conformance import CHECKS

LAST_LONG = {("turns_every_fault_into_a_house_error_or_a_report", driver) for driver in ("escpos", "onbon-bx")}


def cases():
    for check in CHECKS:
        for name in driver_names():
            marks = [pytest.mark.slow] if (check.__name__, name) in LAST_LONG else []
            yield pytest.param(check, name, marks=marks, id=f"{check.__name__}-{name}")


@pytest.mark.parametrize(("check", "name"), [*cases()])
async def test_the_driver_conforms(check, name):
    await check(load_driver(name))
