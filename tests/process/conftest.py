"""Stores of both kinds, and the end of what each test started."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest
from airflow.sdk import BaseHook
from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from nostro import wire
from nostro.hooks import tokens

sys.path.append(str(Path(__file__).parent))
import workers

STORES = ("sqlite", "postgresql")


@pytest.fixture(autouse=True)
def _as_new() -> Iterator[None]:
    """As a worker that has just been forked: it knows no token, and masks no secret of another test's."""
    tokens._token_cache.cache_clear()
    reset_secrets_masker()
    yield
    workers.clear_all_away()


@pytest.fixture
def set_connection(set_connection):
    """The same, with all imported that a hook needs: once here, not in each forked process."""

    def put(*args, **changes) -> str:
        conn_id = set_connection(*args, **changes)
        BaseHook.get_hook(conn_id)
        wire._default_tls()
        return conn_id

    return put


@pytest.fixture(params=STORES)
def store(request, set_connection, monkeypatch) -> Iterator[str]:
    """`[nostro] store` of either kind; the test runs with both."""
    if request.param == "sqlite":
        yield os.environ["AIRFLOW__NOSTRO__STORE"]
        return
    with postgresql.database("process") as url:
        monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", url)
        monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", os.environ["AIRFLOW__CORE__FERNET_KEY"])
        yield url
