"""A camera's runner with a real child, and everything that it told."""

import asyncio
import contextlib
from datetime import UTC, datetime

import structlog
from hallctl_drivers.camera import PLUGIN

from hallctl.camera.runner import CameraRunner
from hallctl.clock import SystemClock
from hallctl.config.posts import Attendance
from hallctl.controller.camerajob import camera_job
from hallctl.driver import TerminalContext
from hallctl.errors import HallctlError

ZONE = [(0.2, 0.05), (0.8, 0.05), (0.8, 1.0), (0.2, 1.0)]
CAMERA = "camera-1"


async def nothing(_signal):
    return


class Watched:
    """The runner is the real one; the desk remembers."""

    def __init__(self, url, folder, model, *, rules=None, posts=None, free_bytes=0, **options):
        self.looks, self.clips, self.troubles, self.ended = [], {}, {}, 0
        self._arrived = asyncio.Condition()
        clock = SystemClock()
        context = TerminalContext(CAMERA, clock, structlog.get_logger(), nothing)
        options = {"url": url, "check_every_s": 0.5, **options}
        self.camera = PLUGIN.make(context, PLUGIN.options.model_validate(options))
        folder.mkdir(exist_ok=True)

        def job():
            return camera_job(
                rules or Attendance(frozen_after_s=3),
                posts or {"w1": ZONE},
                self.camera.capture(),
                model=model,
                evidence=folder,
                free_bytes=free_bytes,
                reference=folder / "reference.npy",
            )

        self.runner = CameraRunner(context, job, self)
        self.task = None

    async def __aenter__(self):
        await self.runner.start(None)
        self.task = asyncio.create_task(self.runner.listen())
        return self

    async def __aexit__(self, *_exc):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, HallctlError):
            await self.task
        await self.runner.stop()

    async def seen(self, _camera, observation):
        async with self._arrived:
            self.looks.append(observation)
            self._arrived.notify_all()

    async def clip_taken(self, _camera, name, clip):
        async with self._arrived:
            self.clips[name] = clip
            self._arrived.notify_all()

    async def clip_failed(self, _camera, name, why):
        async with self._arrived:
            self.troubles[name] = why
            self._arrived.notify_all()

    async def child_ended(self, _camera):
        self.ended += 1

    async def until(self, wanted, seconds=45):
        """Wait for a look that is wanted."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: self.looks and wanted(self.looks[-1]))

    async def clip(self, name, seconds=45):
        """Wait for a clip to stand; gives it, or its trouble."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: name in self.clips or name in self.troubles)
        return self.clips.get(name) or self.troubles[name]

    @staticmethod
    def now():
        return datetime.now(UTC)


def present(look):
    return look.score is not None and look.score > 0.6


def empty(look):
    return look.score is not None and look.score < 0.2
