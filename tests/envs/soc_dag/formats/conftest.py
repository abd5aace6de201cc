"""Published files that the tests of several formats read."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def data():
    """The folder with published files."""
    folder = Path(os.environ.get("DISPATCHLAB_DATA", "")) / "soc"
    if "DISPATCHLAB_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("DISPATCHLAB_DATA names no folder with soc/")
    return folder
