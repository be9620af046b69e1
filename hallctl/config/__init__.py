"""The two documents of configuration, and loading them with the file and line of every mistake."""

from hallctl.config.controller import ControllerConfig, SecretRef
from hallctl.config.hall import HallDocument
from hallctl.config.loading import load_controller, load_hall, parse_hall, read_document
from hallctl.config.problem import ConfigErrors, Problem
from hallctl.config.result import LoadedHall
from hallctl.config.secrets import check_private, resolve

__all__ = [
    "ConfigErrors",
    "ControllerConfig",
    "HallDocument",
    "LoadedHall",
    "Problem",
    "SecretRef",
    "check_private",
    "load_controller",
    "load_hall",
    "parse_hall",
    "read_document",
    "resolve",
]
