"""What all terminals of this box stand on: clock, broker, disk, detector model, certificate, document."""

import asyncio
import shutil
from collections.abc import Callable

from hallctl import __version__
from hallctl.camera import model_file
from hallctl.clock import Clock
from hallctl.config import ControllerConfig
from hallctl.controller.alerts import AlertBook
from hallctl.controller.camerajob import find_model
from hallctl.diagnose import BoxFacts
from hallctl.errors import ConfigError
from hallctl.link import Uplink
from hallctl.link.configuration import Reported
from hallctl.model import AlertKind
from hallctl.outbox import Outbox

MIB = 1 << 20
LEAST_FREE_MIB = 64  # below it the event log, the daemon's own state and the system's log are in danger


class BoxLooker:
    """Looks at the box; nothing is changed by it."""

    def __init__(
        self,
        config: ControllerConfig,
        outbox: Outbox,
        *,
        alerts: AlertBook,
        uplink: Uplink | None,
        reported: Callable[[], Reported | None],
        clock: Clock,
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._alerts = alerts
        self._uplink = uplink
        self._reported = reported
        self._clock = clock

    async def look(self, *, cameras: bool) -> BoxFacts:
        """The facts now. ``cameras``: whether the hall has any, so that a model is needed."""
        config, uplink, reported = self._config, self._uplink, self._reported()
        lost = uplink.lost if uplink is not None else None
        mistake = reported.errors[0] if reported is not None and reported.errors else None
        model, problem = await asyncio.to_thread(self._model) if cameras else ("", "")
        expiring = [one.message for one in self._alerts.open if one.kind is AlertKind.CERTIFICATE_EXPIRING]
        return BoxFacts(
            site=config.site,
            controller=config.controller,
            version=__version__,
            now=self._clock.now().isoformat(timespec="seconds"),
            clock=self._clock.synchronised(),
            clock_trusted=config.trust_clock,
            broker=f"{config.broker.host}:{config.broker.port}" if config.broker is not None else "",
            connected=uplink.connected if uplink is not None else False,
            link_code=lost.code if lost is not None else "",
            link_message=lost.message if lost is not None else "",
            link_hint=lost.hint if lost is not None else "",
            unsent=self._outbox.last_seq - await self._outbox.sent(),
            disk_free_mib=await asyncio.to_thread(self._free_mib),
            disk_wanted_mib=max(LEAST_FREE_MIB, config.limits.evidence_free_mib if cameras else 0),
            disk_path=str(config.state_dir),
            model=model,
            model_problem=problem,
            needs_model=cameras,
            certificate=expiring[0] if expiring else "",
            config_status=reported.status.value if reported is not None else "",
            config_message=_mistake(mistake.pointer, mistake.message or mistake.code) if mistake is not None else "",
            config_hint=mistake.hint if mistake is not None else "",
            config_version=reported.desired_version if reported is not None else 0,
        )

    def _free_mib(self) -> int | None:
        try:
            return shutil.disk_usage(self._config.state_dir).free // MIB
        except OSError:
            return None

    def _model(self) -> tuple[str, str]:
        """The default model's file has a known sha256; of one's own only that it can be read is known."""
        path = find_model(self._config.model)
        if path is None:
            return "", "no detector model is configured"
        try:
            if path.name == model_file.NAME:
                model_file.check(path)
            else:
                path.open("rb").close()
        except (ConfigError, OSError) as exc:
            return str(path), exc.message if isinstance(exc, ConfigError) else f"{path}: {exc.strerror or exc}"
        return str(path), ""


def _mistake(pointer: str, message: str) -> str:
    return f"{pointer}: {message}" if pointer else message
