"""Options of ``camera`` in hall.yaml."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hallctl.driver import DriverOptions, read_secret
from hallctl.errors import ConfigError


class PasswordRef(BaseModel):
    """A password by reference: exactly one of ``file`` and ``env``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path | None = Field(default=None, description="file that holds it, mode 0600 or 0400")
    env: str | None = Field(default=None, description="name of an environment variable that holds it")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("name either file or env")
        return self

    def resolve(self) -> str:
        """The password. Raises ``ConfigError`` when it is not there."""
        try:
            return read_secret(file=self.file, env=self.env)
        except ConfigError as exc:
            where = f"{exc.path}: " if exc.path else ""
            raise ConfigError(f"the camera's password: {where}{exc.message}", hint=exc.hint) from exc


Fraction = Annotated[float, Field(ge=0, le=1)]
Polygon = Annotated[list[tuple[Fraction, Fraction]], Field(min_length=3)]


def _no_secrets(url: str | None) -> str | None:
    if url is not None and "://" in url and "@" in url.split("/")[2]:
        raise ValueError("user and password don't belong into a URL | use username and password")
    return url


Url = Annotated[str, AfterValidator(_no_secrets)]


class CameraOptions(DriverOptions):
    """A stream and how it is looked at."""

    url: Url = Field(
        description="rtsp://HOST/PATH, http://HOST/PATH (MJPEG), /dev/video0 or a file; without user and password"
    )
    sub_url: Annotated[str | None, AfterValidator(_no_secrets)] = Field(
        default=None,
        description="a smaller stream of the same camera, which is looked at instead; clips are still of url",
    )
    username: str | None = Field(default=None, description="user of the camera")
    password: PasswordRef | None = Field(default=None, description="password of the camera, by reference")
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="how RTP travels; tcp loses nothing")
    video_format: str | None = Field(default=None, description="of /dev/video: mjpeg, yuyv422 ...; default: its own")
    video_size: str | None = Field(
        default=None, pattern=r"^\d+x\d+$", description="of /dev/video: WIDTHxHEIGHT; default: its own"
    )
    check_every_s: float = Field(default=2.0, ge=0.2, le=5, description="how often the posts are looked at, seconds")
    min_score: float = Field(default=0.3, gt=0, lt=1, description="from which score on a detection is a person")
    masks: list[Polygon] = Field(
        default_factory=list,
        description="places that nobody may see, corners as fractions of the picture: black for the detector and in "
        "all evidence; clips are encoded then, which costs processor time while one is taken",
    )
    model: Path | None = Field(default=None, description="an ONNX model of your own; default: the box's")
    model_kind: str = Field(
        default="auto", description="its head: ssdlite, yolox, nanodet, or a plug-in's; auto: found out by its shapes"
    )
    model_sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="sha256 of model's file, hex; another file is refused"
    )
