"""Windows as units: calls, window states, ratings, what to show where; pure."""

from hallctl.hall.hall import Hall
from hallctl.hall.plan import Ask, EndEvaluation, Note, Plan, Show, ShowQueue, StandStill
from hallctl.hall.window import Window

__all__ = ["Ask", "EndEvaluation", "Hall", "Note", "Plan", "Show", "ShowQueue", "StandStill", "Window"]
