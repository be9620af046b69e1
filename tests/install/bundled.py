"""A small offline bundle around the real install.sh: its wheels are made here, so nothing is fetched."""

import base64
import hashlib
import io
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pip

PROJECT = Path(__file__).parents[2]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_HALLCTL = 'from parcel import WORD\n\n\ndef main():\n    print(f"hallctl {WORD}")\n'
_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Said:
    """What a run of install.sh came to."""

    code: int
    out: str
    err: str


class Bundle:
    """An unpacked bundle that a technician stands in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *options: str | Path, programs: Mapping[str, str] | None = None, only: Path | None = None) -> Said:
        """Run its install.sh. ``programs``: shell scripts that stand before the system's; ``only``: no others."""
        path = str(only) if only else _SYSTEM
        if programs:
            path = f"{_stubs(self.folder.parent / 'stubs', programs)}:{path}"
        command = (self.folder / "install.sh", *options)
        done = subprocess.run(
            command, env={"PATH": path, "LANG": "C.UTF-8"}, capture_output=True, text=True, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def change(self, **facts: str) -> None:
        """Other facts in VERSION, with right checksums."""
        path = self.folder / "VERSION"
        known = dict(line.split("=", 1) for line in path.read_text(encoding="ascii").splitlines())
        path.write_text("".join(f"{key}={value}\n" for key, value in {**known, **facts}.items()), encoding="ascii")
        self.seal()

    def seal(self) -> None:
        """Write the checksums of all that is there."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
        lines = [f"{_sha256(path).hex()}  ./{path.relative_to(self.folder)}\n" for path in files]
        (self.folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")

    def copy(self, folder: Path) -> "Bundle":
        """The same somewhere else, to be spoiled."""
        return Bundle(Path(shutil.copytree(self.folder, folder)))


def bundle(folder: Path, version: str) -> Bundle:
    """What scripts/bundle makes, with a hallctl that only says its version, and one package that it needs."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    _pip(wheels)
    parcel = wheel(wheels, "parcel", "1.0", {"parcel.py": f"WORD = {version!r}\n"})
    script = "[console_scripts]\nhallctl = hallctl:main\n"
    wheel(wheels, "hallctl", version, {"hallctl.py": _HALLCTL, f"hallctl-{version}.dist-info/entry_points.txt": script})
    (folder / "requirements.txt").write_text(f"parcel==1.0 --hash=sha256:{_sha256(parcel).hex()}\n", encoding="ascii")
    for name in ("install.sh", "trial.sh", "README.md"):
        shutil.copy(PROJECT / "scripts" / "bundle-parts" / name, folder)
    for name in ("systemd", "configs"):
        shutil.copytree(PROJECT / name, folder / name)
    for name in ("LICENSE", "CHANGELOG.md"):
        shutil.copy(PROJECT / name, folder)
    for name in ("model/person-ssdlite300.onnx", "docs/operations.md"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("stands for it\n", encoding="ascii")
    facts = f"version={version}\ncommit=abc1234\narch={platform.machine()}\npython={PYTHON}\n"
    (folder / "VERSION").write_text(facts, encoding="ascii")
    made = Bundle(folder)
    made.seal()
    return made


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """A wheel with these files."""
    info = f"{name}-{version}.dist-info"
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = io.StringIO()
    for path, text in whole.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.write(f"{path},sha256={digest},{len(text.encode())}\n")
    rows.write(f"{info}/RECORD,,\n")
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in (*whole.items(), (f"{info}/RECORD", rows.getvalue())):
            archive.writestr(path, text)
    return target


def tree(root: Path) -> Iterator[tuple[str, int, int, int, str]]:
    """All that is below a folder: name, mode, size, time of the last change, and where a link leads."""
    for path in sorted(root.rglob("*")):
        of = path.lstat()
        link = str(path.readlink()) if path.is_symlink() else ""
        yield str(path.relative_to(root)), of.st_mode, of.st_size, of.st_mtime_ns, link


def _pip(wheels: Path) -> None:
    """The pip that runs here, as a bundle carries it."""
    source = Path(pip.__file__).parent
    with zipfile.ZipFile(wheels / f"pip-{pip.__version__}-py3-none-any.whl", "w") as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                archive.write(path, Path("pip") / path.relative_to(source))


def _stubs(folder: Path, programs: Mapping[str, str]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def _sha256(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
