"""A simulated fleet: the real link, twin and outbox of a controller each, without any device's IO."""

from hallctl.fleet.simulate.box import Pace, SimulatedController
from hallctl.fleet.simulate.faults import FaultKind, Faults, read_faults
from hallctl.fleet.simulate.halls import BoxPlan, plan_fleet

__all__ = ["BoxPlan", "FaultKind", "Faults", "Pace", "SimulatedController", "plan_fleet", "read_faults"]
