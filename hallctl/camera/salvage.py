"""Clips that were broken off: ``python -m hallctl.camera.salvage PART...``, a process of its own, because it reads
files that may be damaged. Prints one JSON object a file: ``{"part", "path", "size", "sha256", "covers"}``; without a
path where there was no picture in it.
"""

import json
import sys
from pathlib import Path

import av

from hallctl.camera.clipfile import PART, salvaged


def main(arguments: list[str]) -> int:
    """Make of each broken clip a whole one."""
    av.logging.set_level(None)
    for name in arguments:
        part = Path(name)
        found: dict[str, object] = {"part": name}
        try:
            taken = salvaged(part, part.with_name(part.name.removesuffix(PART)))
        except OSError as exc:
            found["message"] = exc.strerror or str(exc)
        else:
            if taken is not None:
                found |= {"path": str(taken.path), "size": taken.size, "sha256": taken.sha256, "covers": taken.covers}
        print(json.dumps(found, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
