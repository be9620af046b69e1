"""Wires the box's certificate to its uplink and its alerts: renewal, or only the warning where others renew it."""

from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from hallctl.clock import Clock
from hallctl.config import ControllerConfig
from hallctl.controller.alerts import AlertBook
from hallctl.driver.terminal import Logger
from hallctl.link import Topics, Uplink
from hallctl.model import AlertKind

Work = Coroutine[Any, Any, None]


def care_for_certificate(
    config: ControllerConfig, uplink: Uplink, alerts: AlertBook, *, clock: Clock, log: Logger
) -> Work | None:
    """What runs as long as the daemon; ``None`` where there is no certificate. Call it before the uplink runs."""
    tls = config.broker.tls if config.broker is not None else None
    if tls is None or (tls.identity or tls.cert_file) is None:
        return None
    try:
        from hallctl.enroll.expiry import Expiry  # noqa: PLC0415  # an extra: a box without it runs all the same
        from hallctl.enroll.identity import Identity  # noqa: PLC0415
        from hallctl.enroll.renewal import Renewal  # noqa: PLC0415
    except ImportError:
        log.warning("the certificate is neither renewed nor watched", hint="pip install 'hallctl[enroll]'")
        return None

    async def warn(message: str, ends: datetime) -> None:
        data = {"expires_at": ends.isoformat()}
        await alerts.raise_once(AlertKind.CERTIFICATE_EXPIRING, config.controller, message, data=data)

    async def all_clear() -> None:
        await alerts.clear(AlertKind.CERTIFICATE_EXPIRING, config.controller)

    expiry = Expiry(timedelta(days=tls.warn_days), warn, all_clear, clock)
    if tls.identity is None:
        return expiry.watch(tls.cert_file, log) if tls.cert_file is not None else None
    renewal = Renewal(
        Identity(tls.identity),
        Topics(config.site, config.controller),
        ca_file=tls.ca_file,
        expiry=expiry,
        clock=clock,
        log=log,
        reconnect=uplink.reconnect,
    )
    uplink.join(renewal)
    return renewal.run()
