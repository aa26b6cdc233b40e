"""Images to damage."""

import pytest


@pytest.fixture(scope="session")
def real_photographs(real_data):
    """The content of one photograph per dataset that is at hand."""
    folders = sorted(path for path in real_data.iterdir() if path.is_dir())
    return [min(folder.rglob("*.jpg")).read_bytes() for folder in folders]
