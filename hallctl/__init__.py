"""hallctl: the edge software of government service halls, and the desk that steers it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hallctl")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
