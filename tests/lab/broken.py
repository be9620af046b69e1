"""Makes a bad release on purpose: hallctl's wheel under another version, with a fault that a file on the box
chooses (``mood.py``).

``python -m lab.broken BUNDLES FOLDER`` takes the wheel out of the bundle in BUNDLES and puts the bad one into FOLDER.
"""

import base64
import csv
import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

BAD_VERSION = "99.0.0"
_MAIN = b'    """The console script."""\n'
_CALL = b"    from hallctl import lab_mood\n\n    lab_mood.put_on()\n"


def spoiled(wheel: Path, folder: Path) -> Path:
    """The bad wheel, whole by every rule of a wheel."""
    with zipfile.ZipFile(wheel) as good:
        files = {name: good.read(name) for name in good.namelist()}
    version = wheel.name.split("-")[1]
    old, new = f"hallctl-{version}.dist-info", f"hallctl-{BAD_VERSION}.dist-info"
    files = {name.replace(old, new): data for name, data in files.items()}
    metadata = f"{new}/METADATA"
    files[metadata] = files[metadata].replace(f"Version: {version}".encode(), f"Version: {BAD_VERSION}".encode(), 1)
    main = files["hallctl/cli/main.py"].replace(_MAIN, _MAIN + _CALL)
    assert main != files["hallctl/cli/main.py"], "hallctl/cli/main.py has no main() any more"
    files["hallctl/cli/main.py"] = main
    files["hallctl/lab_mood.py"] = Path(__file__).with_name("mood.py").read_bytes()
    files[f"{new}/RECORD"] = _record(files, f"{new}/RECORD").encode()
    target = folder / wheel.name.replace(version, BAD_VERSION, 1)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bad:
        for name, data in files.items():
            bad.writestr(name, data)
    return target


def _record(files: dict[str, bytes], own: str) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, data in files.items():
        if name != own:
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.writerow((name, f"sha256={digest}", len(data)))
    rows.writerow((own, "", ""))
    return text.getvalue()


def main() -> None:
    """The wheel is taken from the good bundle, so that both are of one code."""
    bundles, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    (bundle,) = (path for path in bundles.glob("hallctl-*-linux-x86_64.tar.gz") if BAD_VERSION not in path.name)
    with tarfile.open(bundle) as archive:
        (member,) = (one for one in archive.getmembers() if Path(one.name).match("wheels/hallctl-*.whl"))
        source = archive.extractfile(member)
        assert source is not None
        good = folder / Path(member.name).name
        good.write_bytes(source.read())
    spoiled(good, folder)
    good.unlink()


if __name__ == "__main__":
    main()
