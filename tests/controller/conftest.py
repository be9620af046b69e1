"""Whatever a controller writes into its log in these tests is held against the published schemas."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from published import wrong_in_logs


@pytest.fixture(autouse=True)
def what_is_logged_is_as_published(tmp_path: Path) -> Iterator[None]:
    """After each test: every event and alert in the log fits its schema."""
    yield
    assert wrong_in_logs(tmp_path) == []
