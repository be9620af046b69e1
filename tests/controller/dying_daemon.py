"""``hallctl run`` that ends itself with SIGKILL at one step of a change of its document: CONFIG STEP.

The hook is an argument of ``daemon.run``; no option, file or variable of the real command reaches it.
"""

import os
import signal
import sys
from pathlib import Path

from hallctl import daemon


def main(config: str, step: str) -> int:
    def checkpoint(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return daemon.run(Path(config), checkpoint)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
