"""Zones, views, presence state machines and duty hours of posts; pure, driven by looks and a clock."""

from hallctl.post.duty import DutyCalendar
from hallctl.post.lens import Lens
from hallctl.post.machine import PostMachine
from hallctl.post.views import Look, Views

__all__ = ["DutyCalendar", "Lens", "Look", "PostMachine", "Views"]
