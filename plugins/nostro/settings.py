"""Section [nostro] as this process has it. Reads configuration only, so that DAGs may call it when they are parsed."""

import os
from pathlib import Path

from airflow.sdk.configuration import conf

from nostro.config import DEFAULT_CONNECTIONS, DEFAULT_LAKE, DEFAULT_STORE


def connections() -> list[str]:
    """The connection ids that the DAGs work on."""
    return _list("connections", DEFAULT_CONNECTIONS)


def lake() -> str:
    """The URL of the lake, for ObjectStoragePath."""
    return _option("lake", DEFAULT_LAKE).rstrip("/")


def store() -> str:
    """The SQLAlchemy URL of nostro's own database, or "none"."""
    return _option("store", DEFAULT_STORE)


def seal_keys() -> list[str]:
    """nostro's own Fernet keys, newest first; empty if Airflow's shall serve."""
    return _list("seal_keys", "")


def _option(name: str, default: str) -> str:
    text: str = conf.get("nostro", name, fallback=default) or default
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return text.replace("{AIRFLOW_HOME}", str(home)).strip()


def _list(name: str, default: str) -> list[str]:
    return [item.strip() for item in _option(name, default).split(",") if item.strip()]
