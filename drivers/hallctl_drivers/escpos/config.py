"""What hall.yaml may say of an ESC/POS printer under ``options``: a profile, and what is different in this one."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from hallctl.driver import DriverOptions, read_document
from hallctl.errors import ConfigError, HallctlError

PROFILES = Path(__file__).with_name("profiles")
DOTS = {58: 384, 80: 576}


def _hexadecimal(value: object) -> object:
    """Bytes as people write them: "1B 39 01"."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is a number | write hexadecimal digits in quotes: '1B 39 01'")
    try:
        return bytes.fromhex(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} is no sequence of bytes | write hexadecimal digits in quotes: '1B 39 01'") from exc


Bytes = Annotated[bytes, BeforeValidator(_hexadecimal)]


class EscposProfile(DriverOptions):
    """What a kind of printer is like. A profile is a YAML file with these keys; each may also stand in ``options``."""

    title: str = Field("", description="which printers it fits")
    paper_width: Literal[58, 80] = Field(80, description="width of the roll in mm; 58 has 32 columns, 80 has 48")
    encoding: Literal["gb18030", "gbk", "gb2312", "none"] = Field(
        "gb18030",
        description="what the printer's Chinese font is addressed by; none: it has no such font, and text is drawn. "
        "A line with a character that is not in it is drawn too",
    )
    font: str = Field(
        "auto",
        description="font file for what is drawn; auto takes a free Chinese font of this machine, or OpenCV's own",
    )
    qr: Literal["native", "raster"] = Field("native", description="whether the printer draws QR codes, or hallctl does")
    confirm: Literal["auto", "gs_h", "fence", "none"] = Field(
        "auto",
        description="how the printer says a ticket is printed: gs_h (its own word), fence (an answer queued behind "
        "the ticket, and no fault), none (for ports that carry no answers), auto (the best that it can do)",
    )
    cut: Literal["partial", "full", "none"] = Field(
        "partial", description="how a ticket is cut off; none feeds it to the tear bar"
    )
    cut_command: Literal["gs_v", "esc_i"] = Field("gs_v", description="esc_i for old cutters that don't know GS V")
    setup: Bytes = Field(b"", description="bytes in hexadecimal that this kind wants before each ticket: '1C 43 00'")
    raster_bytes: int = Field(
        2048, ge=72, le=65536, description="how much of a picture is sent in one command, bytes; less for small buffers"
    )


class EscposOptions(DriverOptions):
    """A profile, what differs from it, and patience. Defaults fit an 80 mm printer with a Chinese font and a cutter."""

    profile: str = Field(
        "generic",
        description="generic, epson, clone, pos-58, no-chinese, or the path of a YAML file of your own: what kind of "
        "printer it is",
    )
    paper_width: Literal[58, 80] | None = Field(None, description="instead of the profile's: width of the roll in mm")
    encoding: Literal["gb18030", "gbk", "gb2312", "none"] | None = Field(
        None, description="instead of the profile's: encoding of the Chinese font; none: text is drawn"
    )
    font: str | None = Field(None, description="instead of the profile's: font file for what is drawn, or auto")
    qr: Literal["native", "raster"] | None = Field(None, description="instead of the profile's: who draws QR codes")
    confirm: Literal["auto", "gs_h", "fence", "none"] | None = Field(
        None, description="instead of the profile's: how the printer says that a ticket is printed"
    )
    cut: Literal["partial", "full", "none"] | None = Field(None, description="instead of the profile's: kind of cut")
    cut_command: Literal["gs_v", "esc_i"] | None = Field(
        None, description="instead of the profile's: command that cuts"
    )
    setup: Bytes | None = Field(None, description="instead of the profile's: bytes before each ticket")
    raster_bytes: int | None = Field(None, ge=72, le=65536, description="instead of the profile's: bytes of a picture")
    reply_timeout_s: float = Field(
        1.0, gt=0, le=3, description="how long the printer may take to answer a question about its state, seconds"
    )
    confirm_timeout_s: float = Field(
        20.0, gt=0, le=40, description="how long a ticket may take until it is on paper, seconds"
    )
    poll_every_s: float = Field(2.0, ge=0.5, le=300, description="how often the printer is asked how it is, seconds")

    @model_validator(mode="after")
    def _profile_can_be_read(self) -> "EscposOptions":
        try:
            load_profile(self.profile)
        except HallctlError as exc:
            raise ValueError(f"profile: {exc.message} | {exc.hint}") from exc
        return self

    @property
    def resolved(self) -> EscposProfile:
        """The profile with what the options say instead."""
        own: dict[str, Any] = self.model_dump(include=set(EscposProfile.model_fields) & set(type(self).model_fields))
        return load_profile(self.profile).model_copy(update={name: v for name, v in own.items() if v is not None})


@cache
def load_profile(name: str) -> EscposProfile:
    """A profile that comes with hallctl, or a YAML file by its absolute path.

    Raises ``ConfigError`` with file and line of what is wrong in it, or with the names that there are.
    """
    if name.startswith("/"):
        return read_document(Path(name), EscposProfile)
    known = profile_names()
    if name not in known:
        hint = f"profiles: {', '.join(known)}; or the absolute path of a YAML file"
        raise ConfigError(f"there is no profile {name!r}", hint=hint)
    return read_document(PROFILES / f"{name}.yaml", EscposProfile)


def profile_names() -> tuple[str, ...]:
    """The profiles that come with hallctl."""
    return tuple(sorted(path.stem for path in PROFILES.glob("*.yaml")))
