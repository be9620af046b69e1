"""Zone, presence state machine and duty hours of posts; pure, driven by observations and a clock."""

from hallctl.post.duty import on_duty
from hallctl.post.machine import PostMachine

__all__ = ["PostMachine", "on_duty"]
