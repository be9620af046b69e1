"""A real Chromium, steered by its DevTools protocol; ``devtools`` and ``page`` are fixtures."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_ARGUMENTS = [
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--hide-scrollbars",
]


class Page:
    """One tab of the browser, steered through the DevTools protocol."""

    def __init__(self, connection: ClientConnection, session: str) -> None:
        self._connection = connection
        self._session = session
        self._ids = itertools.count(1000)
        self.errors: list[str] = []

    async def do(self, method: str, **params: object) -> dict[str, Any]:
        """One command, and its result."""
        number = next(self._ids)
        call = {"id": number, "method": method, "params": params, "sessionId": self._session}
        await self._connection.send(json.dumps(call))
        async with asyncio.timeout(20):
            while True:
                said = json.loads(await self._connection.recv())
                if said.get("id") == number:
                    assert "error" not in said, said
                    return said["result"]
                self._note(said)

    async def get(self, expression: str) -> Any:
        """What a JavaScript expression gives."""
        result = await self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str, within_s: float = 15.0) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + within_s
        while True:
            with contextlib.suppress(AssertionError):  # the page may just be loading
                if await self.get(expression):
                    return
            assert time.monotonic() < deadline, f"never became true: {expression}; errors: {self.errors}"
            await asyncio.sleep(0.02)

    async def view(self, name: str) -> None:
        """Wait for one of the page's views."""
        await self.until(f"document.body && document.body.dataset.view === '{name}'")

    async def open(self, url: str) -> None:
        await self.do("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def size(self, width: int, height: int) -> None:
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
        )

    async def tap(self, selector: str) -> None:
        """Tap the middle of an element, as a finger does; it must be there and on top."""
        x, y = await self.get(
            f"(() => {{ const box = document.querySelector({selector!r}).getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def shoot(self, path: Path) -> None:
        """Write a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        shot = await self.do("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def _note(self, said: dict[str, Any]) -> None:
        if said.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(said["params"]["exceptionDetails"])[:500])
        if said.get("method") == "Log.entryAdded" and said["params"]["entry"]["source"] in ("security", "javascript"):
            self.errors.append(said["params"]["entry"]["text"])


@contextlib.asynccontextmanager
async def tab(devtools: str) -> AsyncIterator[Page]:
    """A tab in a browser profile of its own."""
    async with connect(devtools, max_size=None, proxy=None, ping_interval=None) as connection:

        async def browser(number: int, method: str, **params: object) -> dict[str, Any]:
            await connection.send(json.dumps({"id": number, "method": method, "params": params}))
            while (said := json.loads(await connection.recv())).get("id") != number:
                pass
            return said["result"]

        context = (await browser(1, "Target.createBrowserContext"))["browserContextId"]
        target = await browser(2, "Target.createTarget", url="about:blank", browserContextId=context)
        session = await browser(3, "Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(connection, session["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            await page.do(f"{domain}.enable")
        yield page
        await browser(4, "Target.disposeBrowserContext", browserContextId=context)


@pytest.fixture(scope="session")
def devtools(tmp_path_factory: pytest.TempPathFactory):
    """A headless Chromium for the whole run; gives the address that it is steered by."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: .ci/run installs it, or apt-get install chromium fonts-wqy-microhei")
    profile = tmp_path_factory.mktemp("chromium")
    arguments = [*CHROMIUM_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={profile}"]
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen([CHROMIUM, *arguments, "about:blank"], stdout=log, stderr=log)
    try:
        port, path = _devtools_of(profile, process)
        yield f"ws://127.0.0.1:{port}{path}"
    finally:
        process.terminate()
        process.wait(10)


def _devtools_of(profile: Path, process: "subprocess.Popen[bytes]") -> tuple[str, str]:
    place = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while not place.exists() or len(place.read_text().split()) < 2:
        assert process.poll() is None, (profile / "log").read_text(errors="replace")
        assert time.monotonic() < deadline, (profile / "log").read_text(errors="replace")
        time.sleep(0.05)
    port, path = place.read_text().split()
    return port, path


@pytest.fixture
async def page(devtools: str):
    async with tab(devtools) as page:
        yield page
        assert page.errors == []
