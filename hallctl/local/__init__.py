"""The daemon's own socket: whoever stands at the box asks it what the centre may ask, with or without a broker."""

from hallctl.local.client import LocalClient
from hallctl.local.place import is_there, socket_path, socket_paths
from hallctl.local.server import Asked, LocalServer, StreamHandler
from hallctl.local.words import Hello

__all__ = ["Asked", "Hello", "LocalClient", "LocalServer", "StreamHandler", "is_there", "socket_path", "socket_paths"]
