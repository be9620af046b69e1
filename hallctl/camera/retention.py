"""How long evidence stays: a byte quota and an age limit. Oldest first; what belongs to an open alert never."""

import contextlib
import re
from datetime import datetime, timedelta
from pathlib import Path

OURS = re.compile(r"^.+-(clip\.mp4|snapshot\.jpg)$")
LEFT_OVER = re.compile(r"^.+-(clip\.mp4|snapshot\.jpg)(\.whole)?\.part$")
LEFT_OVER_AFTER = timedelta(hours=6)  # nothing takes so long: it was broken off, and could not be made whole


class Retention:
    """Keeps one evidence folder within its bounds. Files that hallctl did not write are never touched."""

    def __init__(self, folder: Path, quota_bytes: int, days: int) -> None:
        self._folder = folder
        self._quota = quota_bytes
        self._age = timedelta(days=days)

    def apply(self, keep: frozenset[str], now: datetime) -> list[str]:
        """Delete what is too old, then the oldest while there is too much; gives the deleted names.

        ``keep``: names of files of open alerts, and of clips that are still to be made whole. A file that can't be
        deleted is left for the next time.
        """
        self._sweep(keep, now)
        files = self._files()
        total = sum(size for _, _, size in files)
        deleted = []
        for path, changed, size in files:
            too_old = now.timestamp() - changed > self._age.total_seconds()
            if path.name in keep or not (too_old or total > self._quota):
                continue
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
                deleted.append(path.name)
        return deleted

    def _sweep(self, keep: frozenset[str], now: datetime) -> None:
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                left_over = LEFT_OVER.match(path.name) and path.name not in keep
                if left_over and now.timestamp() - path.stat().st_mtime > LEFT_OVER_AFTER.total_seconds():
                    path.unlink()

    def _files(self) -> list[tuple[Path, float, int]]:
        found = []
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if OURS.match(path.name) and path.is_file():
                    stat = path.stat()
                    found.append((path, stat.st_mtime, stat.st_size))
        return sorted(found, key=lambda item: item[1])
