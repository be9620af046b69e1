"""Options of ``camera`` in hall.yaml."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hallctl.driver import DriverOptions
from hallctl.errors import ConfigError


class PasswordRef(BaseModel):
    """A password by reference: exactly one of ``file`` and ``env``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path | None = Field(default=None, description="file that holds it, readable by the daemon only")
    env: str | None = Field(default=None, description="name of an environment variable that holds it")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("name either file or env")
        return self

    def resolve(self) -> str:
        """The password. Raises ``ConfigError`` when it is not there."""
        if self.env is not None:
            if self.env not in os.environ:
                raise ConfigError(f"the camera's password: environment variable {self.env} is not set")
            return os.environ[self.env]
        assert self.file is not None  # noqa: S101  # exactly one of the two
        try:
            return self.file.read_text(encoding="utf-8").removesuffix("\n")
        except OSError as exc:
            raise ConfigError(f"the camera's password file {self.file} can't be read: {exc.strerror}") from exc


class CameraOptions(DriverOptions):
    """A stream and how it is looked at."""

    url: str = Field(
        description="rtsp://HOST/PATH, http://HOST/PATH (MJPEG), /dev/video0 or a file; without user and password"
    )
    username: str | None = Field(default=None, description="user of the camera")
    password: PasswordRef | None = Field(default=None, description="password of the camera, by reference")
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="how RTP travels; tcp loses nothing")
    check_every_s: float = Field(default=2.0, ge=0.2, le=60, description="how often the posts are looked at, seconds")
    min_score: float = Field(default=0.3, gt=0, lt=1, description="from which score on a detection is a person")
    model: Path | None = Field(default=None, description="another ONNX model of the same kind; default: the box's")

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        if "@" in self.url.split("/", 3)[2:3][0] if self.url.count("/") >= 2 else False:
            raise ValueError("user and password don't belong into url: use username and password")
        return self
