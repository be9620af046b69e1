"""The twin: what the centre wants of this hall, what runs, and what became of it.

``floor`` says what the twin needs of the rest of the daemon, ``diff`` what differs between two hall documents.
"""
