"""Interim twin until branch edge-twin is merged: same interface, no crash safety."""

from hallctl.twin.floor import Changed, Floor
from hallctl.twin.twin import Twin

__all__ = ["Changed", "Floor", "Twin"]
