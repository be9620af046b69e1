"""install.sh --root: what lies where, and what a second run, an uninstall and a half-made version come to.

What needs a running system (units, upgrades that are watched) is proved by scripts/lab.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from install.bundled import PYTHON, Bundle, bundle, tree

VERSION = "1.2.3"
MINE = "site: mine\n"


def configure(image: Path) -> Path:
    """A configuration of one's own, and data."""
    path = image / "etc/hallctl/controller.yaml"
    path.write_text(MINE, encoding="ascii")
    path.chmod(0o640)
    (image / "var/lib/hallctl/outbox.db").write_bytes(b"events")
    return path


def test_everything_lies_where_the_documents_say(image: Path) -> None:
    prefix = image / "opt/hallctl"
    assert str((prefix / "current").readlink()) == VERSION
    assert str((image / "usr/local/bin/hallctl").readlink()) == "/opt/hallctl/current/bin/hallctl"
    for name in ("complete", "installer/install.sh", "model/person-ssdlite300.onnx", "docs/operations.md", "LICENSE"):
        assert (prefix / VERSION / name).is_file(), name
    for name in ("hallctl.service", "hallctl-trial.service"):
        unit = image / "usr/local/lib/systemd/system" / name
        assert unit.read_text() == (prefix / VERSION / "systemd" / name).read_text()
        wanted = image / "etc/systemd/system/multi-user.target.wants" / name
        assert str(wanted.readlink()) == f"/usr/local/lib/systemd/system/{name}"
    for name in ("usr/local/lib/sysusers.d/hallctl.conf", "usr/local/lib/tmpfiles.d/hallctl.conf"):
        assert (image / name).is_file(), name
    assert (image / "etc/udev/rules.d/70-hallctl.rules").is_file()
    assert os.access(prefix / "trial.sh", os.X_OK)


def test_nobody_but_its_owner_may_write_what_was_installed(image: Path) -> None:
    loose = [path for path in (image / "opt").rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert loose == []


def test_the_program_names_its_interpreter_as_the_running_system_will_see_it(image: Path) -> None:
    script = (image / "opt/hallctl" / VERSION / "bin/hallctl").read_text(encoding="utf-8")
    assert script.startswith(f"#!/opt/hallctl/{VERSION}/bin/python")
    assert str(image.parent) not in script


def test_the_program_runs_with_the_packages_of_the_bundle(image: Path) -> None:
    version = image / "opt/hallctl" / VERSION
    packages = {"PYTHONPATH": str(version / f"lib/python{PYTHON}/site-packages"), "PATH": "/usr/bin"}
    command = (version / "bin/python", version / "bin/hallctl")
    assert subprocess.run(command, env=packages, capture_output=True, text=True, check=True).stdout == "hallctl 1.2.3\n"


def test_the_systems_own_python_packages_are_neither_seen_nor_changed(image: Path) -> None:
    """PEP 668 asks for that; so an interpreter that is managed by its distribution is no obstacle."""
    assert "include-system-site-packages = false" in (image / "opt/hallctl" / VERSION / "pyvenv.cfg").read_text()
    assert [path for path in image.rglob("site-packages") if VERSION not in path.parts] == []


@pytest.mark.slow
def test_python3_venv_is_not_needed(carried: Bundle, tmp_path: Path) -> None:
    root, blocked = tmp_path / "root", tmp_path / "blocked"
    root.mkdir()
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text("import sys\n\nsys.modules['ensurepip'] = None\n", encoding="ascii")
    python = shutil.which(f"python{PYTHON}") or shutil.which("python3")
    stub = f'PYTHONPATH={blocked} exec {python} "$@"'
    probe = carried.run("--root", root, programs={f"python{PYTHON}": stub})
    assert probe.code == 0, probe
    assert (root / "opt/hallctl/current/complete").is_file()


def test_the_first_configuration_is_an_example_beside_none(image: Path) -> None:
    assert sorted(path.name for path in (image / "etc/hallctl/examples").iterdir()) == ["controller.yaml", "hall.yaml"]
    assert not (image / "etc/hallctl/controller.yaml").exists()


def test_running_it_again_changes_nothing(carried: Bundle, image: Path) -> None:
    configure(image)
    before = list(tree(image))
    said = carried.run("--root", image)
    assert said.code == 0, said
    assert list(tree(image)) == before


def test_a_version_that_was_left_half_made_is_made_anew(carried: Bundle, image: Path) -> None:
    version = image / "opt/hallctl" / VERSION
    (version / "complete").unlink()
    (version / "bin/hallctl").write_text("half", encoding="ascii")
    said = carried.run("--root", image)
    assert said.code == 0, said
    assert (version / "complete").is_file()
    assert (version / "bin/hallctl").read_text(encoding="utf-8") != "half"


def test_another_version_says_how_to_upgrade_and_changes_nothing(image: Path, tmp_path: Path) -> None:
    configure(image)
    before = list(tree(image))
    said = bundle(tmp_path / "newer", "1.3.0").run("--root", image)
    assert said.code == 1
    assert "error: hallctl 1.2.3 is installed already" in said.err
    assert "--upgrade replaces it by 1.3.0 and goes back if that isn't healthy" in said.err
    assert list(tree(image)) == before


def test_an_uninstall_leaves_configuration_and_data(carried: Bundle, image: Path) -> None:
    config = configure(image)
    said = carried.run("--uninstall", "--root", image)
    assert said.code == 0, said
    assert "are still there; --purge removes them" in said.out
    assert config.read_text(encoding="ascii") == MINE
    assert (image / "var/lib/hallctl/outbox.db").read_bytes() == b"events"
    assert set(image.rglob("*hallctl*")) == {image / "etc/hallctl", image / "var/lib/hallctl"}


def test_an_uninstall_that_purges_leaves_nothing(carried: Bundle, image: Path) -> None:
    configure(image)
    said = carried.run("--uninstall", "--purge", "--root", image)
    assert said.code == 0, said
    assert list(image.rglob("*hallctl*")) == []


@pytest.mark.slow
def test_what_an_uninstall_left_is_found_again_by_an_install(carried: Bundle, image: Path) -> None:
    config = configure(image)
    assert carried.run("--uninstall", "--root", image).code == 0
    assert carried.run("--root", image).code == 0
    assert config.read_text(encoding="ascii") == MINE
    assert (image / "opt/hallctl/current/complete").is_file()
