"""``hallctl run CONFIG`` that ends itself with SIGKILL when a rating is on disk, and nobody has been thanked for it."""

import os
import signal
import sys
from pathlib import Path

from hallctl import daemon
from hallctl.hall import Hall


def die(_hall: Hall, _rating: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Hall.taken = die
    sys.exit(daemon.run(Path(sys.argv[1])))
