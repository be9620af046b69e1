"""A tablet that shows a pad's page: it connects, keeps and repeats its answers as the page does (page/link.js)."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from hallctl.driver import VisitingSimulator
from hallctl.errors import ConfigError
from hallctl_drivers.webpad.codec import LONGEST, VERSION, Rate

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OLD = Rate(4, "00000000-0000-4000-8000-000000000001", "window-1-0", "A000")
_LOST_S = 25.0  # the page hangs up on a server that has been silent for so long


class WebPadSimulator(VisitingSimulator):
    """One tablet with one page. What it keeps, like localStorage, outlives its visits."""

    FAULTS: ClassVar[dict[str, str]] = {
        "impatient": "it says each answer three times at once",
        "forgetful": "it does not say which question it answers",
        "garbage": "it says nonsense as soon as it is connected",
        "oversized": "it says 5 KiB as soon as it is connected",
        "silent": "it connects, then neither reads nor answers pings: a tablet whose power went",
        "old_answer": "it says an answer of yesterday, thanked for long ago, whenever it connects",
        "foreign": "it is the page of another site",
    }

    def __init__(self, fault: str | None = None) -> None:
        super().__init__(fault)
        self.state: dict[str, Any] = {"state": "idle", "staff": None}
        self.kept: list[Rate] = []
        self.thanked: list[str] = []
        self.refused: dict[str, str] = {}
        self.refused_visits: list[int] = []  # HTTP status codes instead of a connection
        self.closed: list[tuple[int, str]] = []  # code and reason of each connection that the server ended
        self.connected = False
        self.repeat_s = 0.5
        self.come_back_s = 0.1
        self.now: Callable[[], float] = time.monotonic
        self._until = 0.0
        self._answered = ""
        self._speak = asyncio.Event()

    @property
    def showing(self) -> str:
        """``lost`` (no connection, nothing else to show), ``sending``, ``asking`` or ``idle``."""
        if self.kept:
            return "sending"
        if self.state["state"] == "asking" and self.now() < self._until and self._answered != self.state["request"]:
            return "asking"
        return "idle" if self.connected else "lost"

    def press(self, score: int) -> str:
        """The citizen taps a face, 1 to 5; gives the id of the answer."""
        asked = self.showing == "asking" and self.fault != "forgetful"
        request, ticket = (self.state["request"], self.state["ticket"]) if asked else ("", None)
        answer = Rate(score, str(uuid.uuid4()), request, ticket)
        self._answered = request
        self.kept.append(answer)
        self._speak.set()
        return answer.answer

    @contextlib.asynccontextmanager
    async def visit(self, where: str) -> AsyncIterator[None]:
        """Open the page ``http://BOX:PORT/pad/TERMINAL`` and stay. Raises ``ConfigError`` without websockets."""
        try:
            import websockets  # noqa: F401, PLC0415  # an extra: listing the simulators must do without it
        except ModuleNotFoundError as exc:
            raise ConfigError(
                "a tablet needs websockets, which is not installed", hint="pip install 'hallctl[web]'"
            ) from exc
        staying = asyncio.create_task(self._stay(where))
        try:
            yield
        finally:
            staying.cancel()
            await asyncio.gather(staying, return_exceptions=True)

    async def _stay(self, where: str) -> None:
        from websockets.exceptions import InvalidHandshake, InvalidStatus  # noqa: PLC0415

        while True:
            try:
                await self._once(where)
            except InvalidStatus as exc:
                self.refused_visits.append(exc.response.status_code)
            except (OSError, InvalidHandshake):
                pass  # the box is being restarted
            finally:
                self.connected = False
            await asyncio.sleep(self.come_back_s)

    async def _once(self, where: str) -> None:
        from websockets.asyncio.client import connect  # noqa: PLC0415
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        page = urlsplit(where)
        origin = "http://elsewhere.example" if self.fault == "foreign" else f"{page.scheme}://{page.netloc}"
        url = f"ws://{page.netloc}/ws/{page.path.rpartition('/')[2]}"
        headers = {"Origin": origin}
        async with connect(
            url, additional_headers=headers, proxy=None, ping_interval=None, close_timeout=1
        ) as connection:
            self.connected = True
            speaking = asyncio.create_task(self._talk(connection))
            try:
                await self._misbehave(connection)
                await self._listen(connection)
            except ConnectionClosed as exc:
                self.closed.append((exc.rcvd.code, exc.rcvd.reason) if exc.rcvd else (1006, ""))
            except TimeoutError:
                pass
            finally:
                speaking.cancel()
                await asyncio.gather(speaking, return_exceptions=True)

    async def _listen(self, connection: "ClientConnection") -> None:
        while True:
            async with asyncio.timeout(_LOST_S):
                said = json.loads(await connection.recv())
            match said:
                case {"thanks": answer}:
                    self.thanked.append(answer)
                    self._forget(answer)
                case {"refused": answer, "reason": reason}:
                    self.refused[answer] = reason
                    self._forget(answer)
                case {"state": _}:
                    self.state = said
                    self._until = self.now() + said.get("seconds", 0.0)

    async def _talk(self, connection: "ClientConnection") -> None:
        """Say what is kept, at once and again until it is thanked for."""
        while True:
            for rate in list(self.kept):
                for _ in range(3 if self.fault == "impatient" else 1):
                    await connection.send(rate.to_text())
            self._speak.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.repeat_s):
                    await self._speak.wait()

    async def _misbehave(self, connection: "ClientConnection") -> None:
        match self.fault:
            case "garbage":
                await connection.send('{"rate": "excellent"}')
            case "oversized":
                await connection.send(json.dumps({"v": VERSION, "rate": 5, "answer": "x" * (LONGEST + 1024)}))
            case "old_answer":
                await connection.send(OLD.to_text())
            case "silent":
                connection.transport.pause_reading()

    def _forget(self, answer: str) -> None:
        self.kept = [rate for rate in self.kept if rate.answer != answer]
