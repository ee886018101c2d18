from collections.abc import Iterator

import pytest
from sandbox_client import Sandbox, running


@pytest.fixture(scope="session")
def _shared() -> Iterator[Sandbox]:
    with running("--entries", "40") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_shared: Sandbox) -> Sandbox:
    """The sandbox as new: no tokens, no faults, counters at nought."""
    _shared.control("POST", "/_reset")
    return _shared
