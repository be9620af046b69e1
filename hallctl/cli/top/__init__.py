"""``hallctl top``: a live screen of one box."""

from hallctl.cli.top.command import top

__all__ = ["top"]
