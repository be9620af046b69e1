"""What a camera's child has to do, from the documents: for the daemon, for a replay and for calibration alike."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

import hallctl
from hallctl.camera import model_file
from hallctl.camera.messages import Corners, Job, Stream
from hallctl.clock import Clock
from hallctl.config import LoadedHall
from hallctl.config.hall import HallDocument
from hallctl.config.posts import Attendance
from hallctl.driver import Camera, CaptureSpec, Signal, StreamSpec, TerminalContext, load_driver
from hallctl.errors import ConfigError

LOOKS_A_GRACE = 4  # at least, so that a short grace is found out in time
FASTEST_S = 0.2
FROZEN_LEAST_S = 3.0  # a frozen picture has to be told before the grace is over, as far as that can be
RING_MARGIN_S = 10.0  # of the packet ring beyond the pre-roll: a key frame may be that far away

Zones = Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]  # window -> camera -> corners


def zones_of(document: HallDocument) -> Zones:
    """Every watched window's views."""
    return {
        window.id: {view.camera: view.zone for view in window.post.watched_by}
        for window in document.windows
        if window.post is not None
    }


def camera_job(
    rules: Attendance,
    posts: Mapping[str, Corners],
    spec: CaptureSpec,
    *,
    model: Path | None,
    evidence: Path,
    free_bytes: int = 0,
    reference: Path | None = None,
) -> Job:
    """A child's job. Raises ``ConfigError`` without a model."""
    own = Path(spec.model) if spec.model else model
    if own is None:
        hint = f"name it in controller.yaml: model: /path/{model_file.NAME} (scripts/model makes it)"
        raise ConfigError("no detector model is configured", hint=hint)
    check_every_s = max(FASTEST_S, min(spec.check_every_s, rules.grace_s / LOOKS_A_GRACE))
    return Job(
        watch=_stream(spec.watch),
        record=_stream(spec.record) if spec.record else None,
        check_every_s=check_every_s,
        min_score=spec.min_score,
        model=str(own),
        model_kind=spec.model_kind,
        model_sha256=spec.model_sha256,
        evidence_dir=str(evidence),
        free_bytes=free_bytes,
        ring_s=rules.preroll_s + RING_MARGIN_S + 4 * check_every_s,
        frozen_after_s=max(FROZEN_LEAST_S, min(rules.frozen_after_s, rules.grace_s - FASTEST_S * LOOKS_A_GRACE)),
        reference=str(reference) if reference else None,
        posts=dict(posts),
        masks=[list(mask) for mask in spec.masks],
    )


def posts_of(zones: Zones, camera: str) -> dict[str, Corners]:
    """The zones that one camera watches, by window."""
    return {window: list(views[camera]) for window, views in zones.items() if camera in views}


def camera_of(hall: LoadedHall, name: str, clock: Clock) -> CaptureSpec:
    """How a camera of hall.yaml is opened. Raises ``ConfigError`` when there is none of this name."""
    found = next((terminal for terminal in hall.document.terminals if terminal.id == name), None)
    if found is None and name in hall.quarantined:
        raise hall.quarantined[name]
    cameras = [one.id for one in hall.document.terminals if one.driver == "camera"]
    hint = f"cameras here: {', '.join(cameras) or 'none'}"
    if found is None:
        raise ConfigError(f"there is no terminal {name!r}", path=hall.path, hint=hint)
    plugin = load_driver(found.driver)
    context = TerminalContext(name, clock, structlog.get_logger(), _ignore)
    made = plugin.make(context, plugin.options.model_validate(found.options))
    if not isinstance(made, Camera):
        raise ConfigError(f"{name} is no camera", path=hall.path, hint=hint)
    return made.capture()


def find_model(given: Path | None) -> Path | None:
    """The model that is named, or the one that the bundle has installed, or that a checkout has made."""
    checkout = Path(hallctl.__file__).parents[1]
    folders = (Path(sys.prefix) / "model", Path("build/models"), checkout / "build/models")
    candidates = [folder / model_file.NAME for folder in folders]
    return given or next((path for path in candidates if path.exists()), None)


def _stream(spec: StreamSpec) -> Stream:
    options = {key: str(value) for key, value in spec.options.items()}
    return Stream(spec.url, spec.shown_url, spec.container, options)


async def _ignore(_signal: Signal, /) -> None:
    """Nobody listens to a camera that is only looked through once."""
