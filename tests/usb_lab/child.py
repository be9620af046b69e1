"""Another process that opens a port: says ``open`` or the code of what keeps it out. ``hold``: stays until killed."""

import asyncio
import sys

from hallctl.errors import TransportUnavailable
from usb_lab.bench import opened


async def main(url: str, hold: bool) -> None:
    """Try once."""
    try:
        port = await opened(url)
    except TransportUnavailable as exc:
        print(exc.code, flush=True)
        return
    print("open", flush=True)
    if hold:
        await asyncio.Event().wait()
    await port.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], "hold" in sys.argv[2:]))
