"""The twin: what the centre wants of this hall, what runs, and what became of it.

``floor`` says what the twin needs of the rest of the daemon, ``diff`` what differs between two hall documents,
``beginning`` which document runs at boot. ``store`` keeps everything on disk.
"""

from hallctl.twin.beginning import Beginning, begin
from hallctl.twin.floor import Changed, Floor
from hallctl.twin.store import TWIN_FOLDER, Checkpoint, TwinStore, no_checkpoint
from hallctl.twin.twin import Twin

__all__ = [
    "TWIN_FOLDER",
    "Beginning",
    "Changed",
    "Checkpoint",
    "Floor",
    "Twin",
    "TwinStore",
    "begin",
    "no_checkpoint",
]
