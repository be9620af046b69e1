"""Windows as units: calls, window states, ratings, what to show where; pure."""

from hallctl.hall.hall import Hall
from hallctl.hall.plan import Ask, Plan, Show
from hallctl.hall.window import Window

__all__ = ["Ask", "Hall", "Plan", "Show", "Window"]
