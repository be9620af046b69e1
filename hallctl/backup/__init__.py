"""Backup and restore of a box: configuration, identity and what it remembers in one file, taken while it runs."""

from hallctl.backup.manifest import Kept, Manifest
from hallctl.backup.packing import pack
from hallctl.backup.unpacking import read_backup, restore

__all__ = ["Kept", "Manifest", "pack", "read_backup", "restore"]
