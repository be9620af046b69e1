"""The durable event log in SQLite: commit before accept, cursors, replay, the command log."""

from hallctl.outbox.outbox import Outbox, Quota
from hallctl.outbox.records import dumps
from hallctl.outbox.schema import Backlog, Doubtful, EntryKind, Stored

__all__ = ["Backlog", "Doubtful", "EntryKind", "Outbox", "Quota", "Stored", "dumps"]
