"""The list of licences says what each wheel says of itself, what stands inside of it, and which one says nothing."""

import subprocess
import sys
import zipfile
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "licences"


def wheel(folder: Path, name: str, *headers: str, libraries: tuple[str, ...] = ()) -> None:
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *headers]
        archive.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join([*lines, "", "License: not a header"]))
        for library in libraries:
            archive.writestr(f"{name}.libs/{library}", b"")


def run(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False)


def test_each_way_in_which_a_wheel_says_its_licence_is_understood(tmp_path: Path) -> None:
    wheel(tmp_path, "a", "License-Expression: MIT OR Apache-2.0", "Project-URL: Source, https://example.org/a")
    wheel(tmp_path, "b", "License: BSD", "Home-page: https://example.org/b")
    wheel(tmp_path, "c", f"License: {'the whole text ' * 20}", "Classifier: License :: OSI Approved :: MIT License")
    wheel(tmp_path, "hallctl", "License-Expression: Apache-2.0")
    done = run(tmp_path)
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if " 1.0 " in line] == [
        "| a | 1.0 | MIT OR Apache-2.0 | https://example.org/a |",
        "| b | 1.0 | BSD | https://example.org/b |",
        "| c | 1.0 | MIT License |  |",
    ]


def test_libraries_that_a_wheel_brings_along_are_listed_and_gpl_ones_pointed_out(tmp_path: Path) -> None:
    wheel(
        tmp_path, "av", "License: BSD", libraries=("libx264-d65.so.165", "libavcodec-5e.so.62.28", "libavcodec-5e.so")
    )
    assert "| av | libavcodec, libx264 | libx264 |" in run(tmp_path).stdout


def test_a_wheel_that_says_nothing_fails_and_is_named(tmp_path: Path) -> None:
    wheel(tmp_path, "quiet")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "quiet" in done.stderr
