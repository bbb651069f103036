"""A campaign file whose prior is there."""

from pathlib import Path

import pytest

from tests.flow.test_priors_at_work import lab_folder, train


@pytest.fixture(scope="session")
def lab_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a lab folder with campaign, bench and prior; return the campaign file."""
    path = lab_folder(tmp_path_factory.mktemp("door") / "lab")
    train(path, seed=0)
    return path
