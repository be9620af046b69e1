"""Composition root of the edge side: builds everything, one TaskGroup; carries out plans and commands."""

from hallctl.controller.build import Controller

__all__ = ["Controller"]
