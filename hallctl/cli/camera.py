"""``hallctl camera``: recordings through the live path, a look through a camera, a new scene for one."""

import json
import math
import re
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from hallctl.cli.command import command
from hallctl.cli.language import _
from hallctl.cli.link import link_options, target_of
from hallctl.cli.output import EX_OK, json_option, print_json, print_table
from hallctl.cli.where import config_option, find_config
from hallctl.cli.who import by_option
from hallctl.clock import SystemClock
from hallctl.config import LoadedHall, load_controller, load_hall
from hallctl.config.posts import Attendance, encloses_something
from hallctl.controller.camerajob import camera_job, camera_of, find_model, posts_of, zones_of
from hallctl.driver import CaptureSpec, StreamSpec
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError
from hallctl.model import IDENTIFIER
from hallctl.post import DutyCalendar

Corners = list[tuple[float, float]]
LONGEST_GRACE_S = 86400.0


@click.group()
def camera() -> None:
    """Presence cameras of a hall."""


@camera.command()
@click.argument("video", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--post",
    "posts",
    multiple=True,
    metavar="[NAME=]X0,Y0,X1,Y1",
    help="A post's box, or a polygon's corners X,Y,X,Y,X,Y..., as fractions of the picture. Repeat for several.",
)
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="hall.yaml: its rules, zones and options."
)
@click.option("--camera", "name", metavar="ID", help="Which camera of hall.yaml; may be left out where there is one.")
@click.option(
    "--grace",
    type=click.FloatRange(0.5, LONGEST_GRACE_S),
    callback=lambda _context, _option, value: _seconds(value),
    metavar="S",
    help="Instead of the document's grace, seconds.",
)
@click.option(
    "--at",
    metavar="TIME",
    help="Local time of the first picture (2026-11-23T09:00), for duty hours; without it posts are always on duty.",
)
@click.option("--clips", type=click.Path(path_type=Path, file_okay=False), help="Keep the clips in this folder.")
@click.option("--model", type=click.Path(path_type=Path, dir_okay=False), help="Detector model; default: the box's.")
@click.option("--model-kind", default="auto", show_default=True, help="ssdlite, yolox, nanodet, or a plug-in's name.")
@json_option
def replay(
    *,
    video: Path,
    posts: tuple[str, ...],
    config: Path | None,
    name: str | None,
    grace: float | None,
    at: str | None,
    clips: Path | None,
    model: Path | None,
    model_kind: str,
    as_json: bool,
) -> int:
    """Run the attendance check over a recording, faster than it plays.

    --json prints one object a line: {"kind": "observation" | "state" | "alert" | "clip", "t": seconds from the start,
    "post": id, ...}. A state's t is since when it is so, "decided" when that was certain.
    """
    hall = _hall(config) if config else None
    rules = hall.document.attendance if hall else Attendance()
    if grace is not None:
        rules = rules.model_copy(update={"grace_s": grace})
    spec, zones = _source(hall, name, video, model, model_kind)
    zones = _posts(posts) or zones
    if not zones:
        raise ConfigError(
            _("no post is given"), hint=_("--post X0,Y0,X1,Y1, or --config hall.yaml with posts of this camera")
        )
    start, on_duty = _duty(hall, at)
    with tempfile.TemporaryDirectory(prefix="hallctl-replay-") as scratch:
        folder = clips or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        job = camera_job(rules, zones, spec, model=find_model(_box_model(config)), evidence=folder)
        play(job, rules, start, on_duty, _say if as_json else _tell, keeps_clips=clips is not None)
    return EX_OK


def play(
    job: Any,
    rules: Attendance,
    start: datetime,
    on_duty: Callable[[datetime], bool],
    tell: Callable[[dict[str, Any]], None],
    *,
    keeps_clips: bool,
) -> None:
    """Play a job's recording."""
    try:
        from hallctl.camera.detectors import load_detector  # noqa: PLC0415  # OpenCV belongs to the extra "camera"
        from hallctl.camera.replay import Replay  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError(
            _("{name} is not installed").format(name=exc.name), hint="pip install 'hallctl[camera]'"
        ) from exc
    detector = load_detector(Path(job.model), kind=job.model_kind, sha256=job.model_sha256)
    Replay(job, rules, detector, tell, start=start, on_duty=on_duty, keeps_clips=keeps_clips).run()


@camera.command()
@click.argument("name")
@click.option("--png", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Where the picture goes.")
@click.option("--seconds", default=6.0, show_default=True, type=click.FloatRange(0.5, 60), help="How long to look.")
@config_option
@json_option
def calibrate(*, name: str, png: Path, seconds: float, config: Path | None, as_json: bool) -> int:
    """Look through camera NAME and draw zones, masks and what the detector finds. The daemon may run."""
    try:
        from hallctl.camera.calibrate import as_png, drawn, look_through  # noqa: PLC0415  # needs the extra "camera"
        from hallctl.camera.detectors import load_detector  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError(
            _("{name} is not installed").format(name=exc.name), hint="pip install 'hallctl[camera]'"
        ) from exc
    found = load_controller(find_config(config))
    hall = _hall(found.hall)
    spec = camera_of(hall, name, SystemClock())
    zones = posts_of(zones_of(hall.document), name)
    job = camera_job(hall.document.attendance, zones, spec, model=find_model(found.model), evidence=Path())
    look = look_through(
        job, load_detector(Path(job.model), kind=job.model_kind, sha256=job.model_sha256), seconds=seconds
    )
    png.write_bytes(as_png(drawn(job, look)))
    mode = "key" if look.key_every_s is not None and look.key_every_s <= 1.5 * job.check_every_s else "all"
    about = {"codec": look.codec, "width": look.size[0], "height": look.size[1], "fps": look.fps,
             "key_every_s": look.key_every_s and round(look.key_every_s, 2), "mode": mode}  # fmt: skip
    people = [{"post": one.post, "score": round(one.score, 3), "counts": one.counts,
               "height_px": round((one.box[3] - one.box[1]) * look.size[1])} for one in look.found]  # fmt: skip
    if as_json:
        print_json({"camera": name, **about, "posts": sorted(zones), "people": people, "png": str(png)})
        return EX_OK
    click.echo(
        _("{name}: {codec} {width}x{height}, {fps:g} pictures/s, {keys}").format(
            name=name,
            codec=look.codec,
            width=look.size[0],
            height=look.size[1],
            fps=look.fps,
            keys=_keys(look.key_every_s, mode),
        )
    )
    rows = []
    for post in zones:
        best = max((one.score for one in look.found if one.post == post and one.counts), default=0.0)
        rows.append((post, _("somebody") if best >= job.min_score else _("nobody"), f"{best:.2f}"))
    needed = _("best score (needs {score:g})").format(score=job.min_score)
    print_table(("post", "seen now", needed), rows)
    click.echo(_("drawn in {png}").format(png=png))
    return EX_OK


@camera.command()
@click.argument("name")
@by_option
@link_options
def accept(
    *, name: str, config: Path | None, broker: str | None, site: str | None, controller: str | None, as_json: bool
) -> int:
    """Say that what camera NAME shows now is right: it was moved on purpose."""
    return command(target_of(config, broker, site, controller), "camera.accept", {"camera": name}, as_json=as_json)


def _hall(path: Path) -> LoadedHall:
    hall = check_hall(load_hall(path))
    hall.raise_if_fatal()
    return hall


def _source(
    hall: LoadedHall | None, name: str | None, video: Path, model: Path | None, model_kind: str
) -> tuple[CaptureSpec, dict[str, Corners]]:
    """The recording in place of a camera's stream, with that camera's options, and its posts."""
    if not video.is_file():
        raise ConfigError(
            _("there is no file {video}").format(video=video), hint=_("give a recording that FFmpeg reads")
        )
    stream = StreamSpec(str(video), str(video))
    given = {"model": str(model), "model_kind": model_kind, "model_sha256": None} if model else {}
    if hall is None:
        return CaptureSpec(stream, **given), {}  # type: ignore[arg-type]
    zones = zones_of(hall.document)
    cameras = sorted({camera for views in zones.values() for camera in views})
    if name is None and len(cameras) != 1:
        raise ConfigError(
            _("{path} has {number} cameras with posts").format(path=hall.path, number=len(cameras)),
            hint=f"--camera {'|'.join(cameras)}",
        )
    chosen = name or cameras[0]
    spec = camera_of(hall, chosen, SystemClock())
    own = {"model": spec.model, "model_kind": spec.model_kind, "model_sha256": spec.model_sha256} | given
    made = CaptureSpec(stream, None, spec.check_every_s, spec.min_score, spec.masks, **own)  # type: ignore[arg-type]
    return made, posts_of(zones, chosen)


def _seconds(value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # which no range refuses
        raise click.BadParameter("that is no number of seconds")
    return value


def _posts(texts: Sequence[str]) -> dict[str, Corners]:
    """The posts of the command line; those without a name are post, post-2 and so on."""
    posts: dict[str, Corners] = {}
    for number, text in enumerate(texts, 1):
        given, equals, numbers = text.rpartition("=")
        name = given if equals else "post" if number == 1 else f"post-{number}"
        if not re.match(IDENTIFIER, name):
            message = _("--post {text}: {name} is no name").format(text=text, name=repr(name))
            raise ConfigError(message, hint=_("small letters, digits and hyphens: w1"))
        if name in posts:
            message = _("--post {text}: there is a post {name} already").format(text=text, name=repr(name))
            raise ConfigError(message, hint=_("give each post its own name"))
        posts[name] = _corners(text, numbers)
    return posts


def _corners(text: str, numbers: str) -> Corners:
    try:
        values = [float(one) for one in numbers.split(",")]
    except ValueError:
        values = []
    inside = all(0 <= value <= 1 for value in values)
    if len(values) == 4 and inside and values[0] < values[2] and values[1] < values[3]:
        x0, y0, x1, y1 = values
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    corners = list(zip(values[::2], values[1::2], strict=False))
    if len(values) >= 6 and len(values) % 2 == 0 and inside and encloses_something(corners):
        return corners
    hint = _("four numbers left,top,right,bottom, or at least three corners X,Y around it; all from 0 to 1")
    raise ConfigError(_("--post {text}: that is no box and no polygon").format(text=text), hint=hint)


def _duty(hall: LoadedHall | None, at: str | None) -> tuple[datetime, Callable[[datetime], bool]]:
    if at is None:
        return datetime(2026, 1, 1, tzinfo=UTC), lambda _now: True
    if hall is None:
        raise ConfigError(_("--at needs the duty hours of a document"), hint="--config hall.yaml")
    try:
        local = datetime.fromisoformat(at)
    except ValueError as exc:
        raise ConfigError(_("--at {at}: that is no time").format(at=at), hint=_("write 2026-11-23T09:00")) from exc
    zone = ZoneInfo(hall.document.duty_hours.timezone)
    start = local if local.tzinfo else local.replace(tzinfo=zone)
    return start.astimezone(UTC), DutyCalendar(hall.document.duty_hours).on_duty


def _box_model(hall: Path | None) -> Path | None:
    """The model of the controller.yaml that lies beside hall.yaml or is this box's."""
    beside = hall.parent / "controller.yaml" if hall else None
    try:
        return load_controller(beside if beside and beside.exists() else find_config(None)).model
    except ConfigError:
        return None


def _say(line: dict[str, Any]) -> None:
    click.echo(json.dumps(line, ensure_ascii=False))


def _tell(line: dict[str, Any]) -> None:
    """For people: what changed, without the single looks."""
    fields = dict(line)
    kind, t = fields.pop("kind"), fields.pop("t")
    if kind == "observation":
        return
    post = fields.pop("post", "")
    words = ", ".join(f"{name} {_word(value)}" for name, value in fields.items() if name not in ("sha256", "scores"))
    click.echo(f"{t:9.1f} s  {kind:6} {post}: {words}" if post else f"{t:9.1f} s  {kind:6} {words}")


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _keys(key_every_s: float | None, mode: str) -> str:
    if key_every_s is None:
        return "fewer than two key frames came: every picture is decoded"
    if mode == "key":
        return _("a key frame every {seconds:.1f} s: only they are decoded").format(seconds=key_every_s)
    return _(
        "a key frame every {seconds:.1f} s: every picture is decoded (shorten the camera's GOP to the check)"
    ).format(seconds=key_every_s)
