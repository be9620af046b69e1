"""The open alerts of one controller: raised once, acknowledged, cleared; they survive a restart."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from hallctl.clock import Clock
from hallctl.errors import RequestRefused
from hallctl.model import Alert, AlertKind, AlertState, Evidence, JsonObject, Severity

Commit = Callable[[Alert], Awaitable[None]]
Key = tuple[AlertKind, str, str]
OVER_KEPT = 256


class AlertBook:
    """Every open alert by what it is about, so that one trouble never raises two."""

    def __init__(self, open_alerts: list[Alert], commit: Commit, clock: Clock) -> None:
        self._open: dict[Key, Alert] = {_key_of(alert): alert for alert in open_alerts}
        self._over: dict[str, Alert] = {}  # cleared ones, as long as their clip may still come
        self._commit = commit
        self._clock = clock

    def find(self, kind: AlertKind, subject: str, code: str = "") -> Alert | None:
        """The open alert about this, if there is one."""
        return self._open.get((kind, subject, code))

    @property
    def open(self) -> tuple[Alert, ...]:
        """All open alerts."""
        return tuple(self._open.values())

    def about(self, subject: str, kinds: Sequence[AlertKind]) -> tuple[Alert, ...]:
        """Open alerts of these kinds about one terminal, camera or window."""
        return tuple(alert for alert in self.open if alert.subject == subject and alert.kind in kinds)

    async def raise_once(
        self,
        kind: AlertKind,
        subject: str,
        message: str,
        *,
        code: str = "",
        since: datetime | None = None,
        severity: Severity = Severity.ERROR,
        data: JsonObject | None = None,
        evidence: tuple[Evidence, ...] = (),
    ) -> Alert:
        """Raise it, unless it is open already; gives the open one."""
        key = (kind, subject, code)
        if key in self._open:
            return self._open[key]
        raised_at = self._clock.now()
        alert = Alert(
            id=_id_of(subject, code or kind, raised_at),
            kind=kind,
            subject=subject,
            state=AlertState.RAISED,
            raised_at=raised_at,
            severity=severity,
            message=message,
            data={**(data or {}), "code": code, "since": (since or raised_at).isoformat()},
            evidence=evidence,
        )
        self._open[key] = alert
        await self._commit(alert)
        return alert

    async def clear(
        self, kind: AlertKind, subject: str, code: str = "", *, data: JsonObject | None = None
    ) -> Alert | None:
        """It is over; ``None`` when no such alert was open."""
        alert = self._open.pop((kind, subject, code), None)
        if alert is None:
            return None
        cleared = replace(alert.cleared(self._clock.now()), data={**alert.data, **(data or {})})
        self._over[cleared.id] = cleared
        while len(self._over) > OVER_KEPT:
            del self._over[next(iter(self._over))]
        await self._commit(cleared)
        return cleared

    async def add_evidence(self, alert_id: str, evidence: tuple[Evidence, ...]) -> Alert | None:
        """Publish an alert again with more evidence, whether it is open or cleared; ``None`` when it is not known."""
        return await self._change(alert_id, lambda alert: replace(alert, evidence=(*alert.evidence, *evidence)))

    async def add_data(self, alert_id: str, data: JsonObject) -> Alert | None:
        """Publish an alert again with more data; ``None`` when it is not known."""
        return await self._change(alert_id, lambda alert: replace(alert, data={**alert.data, **data}))

    async def _change(self, alert_id: str, change: Callable[[Alert], Alert]) -> Alert | None:
        alert = self.by_id(alert_id)
        if alert is None:
            return None
        changed = change(alert)
        if alert.state is AlertState.CLEARED:
            self._over[alert_id] = changed
        else:
            self._open[_key_of(alert)] = changed
        await self._commit(changed)
        return changed

    def by_id(self, alert_id: str) -> Alert | None:
        """An alert that is open, or was cleared a while ago."""
        return next((one for one in self._open.values() if one.id == alert_id), self._over.get(alert_id))

    async def escalate(self, kind: AlertKind, after_s: float) -> None:
        """Alerts of this kind that nobody has acknowledged for so long are published again, as critical."""
        now = self._clock.now()
        for key, alert in list(self._open.items()):
            waits = alert.kind is kind and alert.state is AlertState.RAISED and alert.severity is not Severity.CRITICAL
            if self._open.get(key) is not alert:
                continue  # cleared or changed while another one was being committed
            if waits and (now - alert.raised_at).total_seconds() >= after_s:
                data = {**alert.data, "escalated_at": now.isoformat()}
                self._open[key] = urgent = replace(alert, severity=Severity.CRITICAL, data=data)
                await self._commit(urgent)

    async def acknowledge(self, alert_id: str, by: str) -> Alert:
        """Somebody takes care of it. Raises ``RequestRefused`` when no such alert is open."""
        for key, alert in self._open.items():
            if alert.id == alert_id:
                data = {**alert.data, "acknowledged_by": by, "acknowledged_at": self._clock.now().isoformat()}
                taken = replace(alert, state=AlertState.ACKNOWLEDGED, data=data)
                self._open[key] = taken
                await self._commit(taken)
                return taken
        raise RequestRefused(
            "alert.unknown", f"no alert {alert_id!r} is open", hint="hallctl alerts lists the open ones"
        )


def _id_of(subject: str, about: str, raised_at: datetime) -> str:
    """One topic level, unlike any other: who, what, and the millisecond."""
    about = about.replace(".", "-").replace("_", "-")
    return f"{subject[:30]}-{about[:20]}-{int(raised_at.timestamp() * 1000):x}"


def _key_of(alert: Alert) -> Key:
    return alert.kind, alert.subject, str(alert.data.get("code", ""))
