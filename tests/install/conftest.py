"""One bundle and one installed image for all tests here; who changes an image gets a copy of his own."""

import shutil
from pathlib import Path

import pytest

from install.bundled import Bundle, bundle

VERSION = "1.2.3"


@pytest.fixture(scope="session")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle as it was carried here; not to be changed."""
    return bundle(tmp_path_factory.mktemp("stick") / f"hallctl-{VERSION}", VERSION)


@pytest.fixture
def spoilt(carried: Bundle, tmp_path: Path) -> Bundle:
    """The same bundle, to be changed."""
    return carried.copy(tmp_path / f"hallctl-{VERSION}")


@pytest.fixture(scope="session")
def _installed(carried: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("image") / "root"
    root.mkdir()
    said = carried.run("--root", root)
    assert said.code == 0, said
    return root


@pytest.fixture
def image(_installed: Path, tmp_path: Path) -> Path:
    """An image with hallctl installed."""
    return Path(shutil.copytree(_installed, tmp_path / "root", symlinks=True))
