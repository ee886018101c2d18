"""An Airflow home of their own for all tests, and the sandbox banks.

Nothing here starts an Airflow: hooks read their connections from the environment, as they would in a worker.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports Airflow, which reads them once.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="nostro-tests-")
os.environ["AIRFLOW__CORE__FERNET_KEY"] = "bm9zdHJvLXRlc3RzLWtleS1vZi0zMi1ieXRlcy0xMjM="
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

import pytest

from nostro_demo.sandbox import Sandbox


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox") / "sandbox.log", seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """The five banks, as new: counters at nought, no token known, no fault set."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def connection_of(sandbox: Sandbox):
    """A bank's connection as Airflow's JSON form holds it; `changes` replace fields, those of `extra` one by one."""

    def make(conn_type: str, **changes: Any) -> dict[str, Any]:
        fields = sandbox.credentials[conn_type]
        connection = {
            "conn_type": conn_type,
            "host": sandbox.urls[conn_type],
            "login": fields["login"],
            "password": fields["password"],
            "extra": {**fields["extra"], **changes.pop("extra", {})},
        }
        return {**connection, **changes}

    return make


@pytest.fixture
def set_connection(monkeypatch: pytest.MonkeyPatch, connection_of, tmp_path: Path):
    """Put a bank's connection into the environment and give nostro a store of its own; gives the connection's id."""
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", f"sqlite:///{tmp_path / 'nostro.db'}")

    def put(conn_type: str, conn_id: str = "", **changes: Any) -> str:
        conn_id = conn_id or f"{conn_type}_default"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection_of(conn_type, **changes)))
        return conn_id

    return put
