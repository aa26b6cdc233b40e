"""A server of files that misbehaves on request."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def faulty_server():
    """The module beside this one: a server of files that misbehaves on request."""
    path = Path(__file__).with_name("faulty_server.py")
    spec = importlib.util.spec_from_file_location("faulty_server", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
