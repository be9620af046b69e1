"""install.sh says what is wrong and what to do, before it has changed anything."""

from pathlib import Path

import pytest

from install.bundled import PYTHON, Bundle, Said


def refused(said: Said, *words: str) -> None:
    """It could not be done, and these words stand in what it said."""
    assert said.code == 1, said
    assert "error: " in said.err
    for word in words:
        assert word in said.err, said.err


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty image; a test that refuses leaves it so."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_a_bundle_that_is_whole_is_verified_and_nothing_is_installed(carried: Bundle, root: Path) -> None:
    said = carried.run("--verify", "--root", root)
    assert (said.code, said.err) == (0, "")
    assert "the bundle is complete and fits this machine" in said.out
    assert list(root.iterdir()) == []


def test_a_damaged_file_is_named(spoilt: Bundle, root: Path) -> None:
    (spoilt.folder / "model/person-ssdlite300.onnx").write_text("bent", encoding="ascii")
    said = spoilt.run("--root", root)
    refused(said, "a file of the bundle is damaged: ./model/person-ssdlite300.onnx", "hint: copy the archive again")
    assert list(root.iterdir()) == []


def test_a_missing_file_is_noticed(spoilt: Bundle, root: Path) -> None:
    (spoilt.folder / "requirements.txt").unlink()
    said = spoilt.run("--verify", "--root", root)
    refused(said, "files of the bundle are missing in", "requirements.txt", "unpack the archive again")


def test_a_bundle_for_another_machine_is_refused(spoilt: Bundle, root: Path) -> None:
    spoilt.change(arch="riscv64")
    refused(spoilt.run("--root", root), "this bundle is for riscv64, this machine is", "hint: take the bundle for")
    assert list(root.iterdir()) == []


def test_a_bundle_for_another_python_is_refused(spoilt: Bundle, root: Path) -> None:
    spoilt.change(python="3.99")
    said = spoilt.run("--root", root)
    refused(said, "this bundle is for Python 3.99, this machine has 3.", "scripts/bundle --python 3.")


def test_a_machine_without_python_is_told_so(carried: Bundle, root: Path, tmp_path: Path) -> None:
    only = tmp_path / "bin"
    only.mkdir()
    for program in Path("/usr/bin").iterdir():
        if not program.name.startswith("python"):
            (only / program.name).symlink_to(program)
    refused(carried.run("--root", root, only=only), "python3 is missing", "apt-get install python3")


def test_a_python_without_its_own_library_is_told_so(carried: Bundle, root: Path) -> None:
    stub = f'case "$2" in *venv*) exit 1 ;; *) echo {PYTHON} ;; esac'
    said = carried.run("--root", root, programs={f"python{PYTHON}": stub})
    refused(said, "lacks a part of its own library", f"apt-get install libpython{PYTHON}-stdlib")


def test_a_system_without_the_c_plus_plus_library_is_told_so(carried: Bundle, root: Path) -> None:
    stub = f'case "$2" in *CDLL*) exit 1 ;; *) echo {PYTHON} ;; esac'
    said = carried.run("--root", root, programs={f"python{PYTHON}": stub})
    refused(said, "libstdc++.so.6 is missing", "apt-get install libstdc++6")


def test_a_full_disk_is_noticed_before_it_is_full(carried: Bundle, root: Path) -> None:
    full = "echo header; echo /dev/vda 100 90 10240 99% /"
    refused(carried.run("--root", root, programs={"df": full}), "only 10 MiB are free for", "make room")
    assert list(root.iterdir()) == []


def test_who_is_not_root_is_told_so(carried: Bundle) -> None:
    refused(carried.run(programs={"id": "echo 1000"}), "this has to run as root", "hint: sudo ")


def test_an_upgrade_of_nothing_is_refused(carried: Bundle, root: Path) -> None:
    refused(carried.run("--upgrade", "--root", root), "hallctl is not installed here", "nothing to upgrade")


def test_an_upgrade_that_nobody_could_watch_is_refused(carried: Bundle, image: Path) -> None:
    refused(carried.run("--upgrade", "--root", image), "an upgrade is watched, so it needs the running system")


def test_another_build_of_the_version_that_runs_is_refused(spoilt: Bundle, image: Path) -> None:
    spoilt.change(commit="def5678")
    said = spoilt.run("--root", image)
    refused(said, "another build of 1.2.3 is installed and runs", "give the new one a version of its own")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--frobnicate",), "error: --frobnicate is unknown"),
        (("--window", "soon"), "error: --window wants seconds"),
        (("--window",), "error: --window wants seconds"),
        (("--root",), "error: --root wants a folder"),
        (("--purge",), "error: --purge belongs to --uninstall"),
    ],
)
def test_wrong_usage_is_exit_code_2(carried: Bundle, options: tuple[str, ...], word: str) -> None:
    said = carried.run(*options)
    assert said.code == 2, said
    assert word in said.err


def test_an_image_that_is_not_there_is_refused(carried: Bundle, tmp_path: Path) -> None:
    refused(carried.run("--root", tmp_path / "nothing"), "there is no folder")


def test_help_tells_every_option_and_changes_nothing(carried: Bundle) -> None:
    said = carried.run("--help")
    assert said.code == 0
    for option in ("--upgrade", "--uninstall", "--purge", "--verify", "--window SECONDS", "--root FOLDER"):
        assert option in said.out
