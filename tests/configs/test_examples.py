"""The example configurations load, and the county hall has the size that hallctl is made for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hallctl.cli.main import cli
from hallctl.config import load_controller, load_hall
from hallctl.driver.hallcheck import check_hall

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "configs").glob("*/controller.yaml"))


@pytest.fixture(scope="session")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("county-hall")
    subprocess.run([sys.executable, ROOT / "scripts" / "county-hall", folder], check=True)
    return folder


def test_there_are_examples() -> None:
    assert [path.parent.name for path in EXAMPLES] == ["small-hall"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_is_right(path: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(path.parent, tmp_path / "copy")
    (folder / "broker.password").write_text("secret\n")
    (folder / "broker.password").chmod(0o600)
    result = CliRunner().invoke(cli, ["check", str(folder / "controller.yaml")])
    assert result.exit_code == 0, result.output
    assert "The configuration is right." in result.output


def test_the_small_hall_has_what_its_readme_promises() -> None:
    hall = check_hall(load_hall(ROOT / "configs" / "small-hall" / "hall.yaml"))
    document = hall.document
    assert len(document.windows) == 3
    assert {terminal.driver for terminal in document.terminals} == {
        "escpos", "onbon-bx", "pinganlihe", "ff68-pad", "ff68-keypad", "web-pad", "camera",
    }  # fmt: skip
    assert document.windows[0].staff is not None
    assert document.windows[0].staff.number == "0123"


def test_the_county_hall_has_174_windows_and_1058_terminals(county: Path) -> None:
    document = load_hall(load_controller(county / "controller.yaml").hall).document
    assert (len(document.windows), len(document.terminals)) == (174, 1058)


def test_check_accepts_the_county_hall(county: Path) -> None:
    result = CliRunner().invoke(cli, ["check", str(county / "controller.yaml")])
    assert result.exit_code == 0, result.output
    assert "174 windows, 1,058 terminals" in result.output


def test_the_county_hall_is_written_the_same_each_time(county: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "county-hall", tmp_path], check=True)
    assert (tmp_path / "hall.yaml").read_bytes() == (county / "hall.yaml").read_bytes()


def test_the_configuration_reference_is_up_to_date() -> None:
    script = ROOT / "scripts" / "configuration-reference"
    result = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
