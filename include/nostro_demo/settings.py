"""`airflow_settings.yaml` (Astro's format) onto a running Airflow, over its REST API.

One call per kind of object, where three CLI commands take some four seconds each. As a command, for docker-compose:
`python -m nostro_demo.settings airflow_settings.yaml sandbox.json`, with NOSTRO_AIRFLOW_URL, NOSTRO_AIRFLOW_USER and
NOSTRO_AIRFLOW_PASSWORDS in the environment, the last one naming the simple auth manager's file of passwords.
"""

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nostro_demo.rest import Client

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """The objects as the REST API wants them."""

    connections: tuple[Json, ...]
    pools: tuple[Json, ...]
    variables: tuple[Json, ...]

    def apply(self, client: Client) -> None:
        client.put("connections", self.connections)
        client.put("pools", self.pools)
        client.put("variables", self.variables)


def read(path: Path, sandbox: Mapping[str, Any] | None = None) -> Settings:
    """`sandbox`: what `python -m nostro_sandbox` printed; it fills in the connections of the types that it serves."""
    airflow = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("airflow") or {}
    return Settings(
        tuple(_connection(item, sandbox or {}) for item in _items(airflow, "connections", "conn_id")),
        tuple(_pool(item) for item in _items(airflow, "pools", "pool_name")),
        tuple(_variable(item) for item in _items(airflow, "variables", "variable_name")),
    )


def _items(airflow: Mapping[str, Any], kind: str, name: str) -> list[Json]:
    """Astro's own template holds one empty object of each kind: an item without a name is none."""
    return [item for item in airflow.get(kind) or () if item.get(name)]


def _connection(item: Json, sandbox: Mapping[str, Any]) -> Json:
    kind = item["conn_type"]
    host = sandbox.get("urls", {}).get(kind) or item.get("conn_host")
    overlay = sandbox.get("credentials", {}).get(kind, {})
    # Every key of the form is there, as "" if need be: Airflow's Edit form shows only the keys that `extra` holds.
    extra = {**(item.get("conn_extra") or {}), **overlay.get("extra", {})}
    return {
        "connection_id": item["conn_id"],
        "conn_type": kind,
        "host": host,
        "schema": item.get("conn_schema") or None,
        "port": item.get("conn_port") or None,
        "login": overlay.get("login") or item.get("conn_login"),
        "password": overlay.get("password") or item.get("conn_password"),
        "extra": json.dumps({key: "" if value is None else value for key, value in extra.items()}),
    }


def _pool(item: Json) -> Json:
    return {
        "name": item["pool_name"],
        "slots": item["pool_slot"],
        "description": item.get("pool_description") or "",
        "include_deferred": bool(item.get("pool_include_deferred", False)),
    }


def _variable(item: Json) -> Json:
    return {"key": item["variable_name"], "value": item.get("variable_value")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="nostro_demo.settings", description=__doc__)
    parser.add_argument("settings", type=Path, help="airflow_settings.yaml")
    parser.add_argument("sandbox", type=Path, nargs="?", help="the line that `python -m nostro_sandbox` printed")
    arguments = parser.parse_args()
    sandbox = json.loads(arguments.sandbox.read_text(encoding="utf-8")) if arguments.sandbox else None
    settings = read(arguments.settings, sandbox)
    url, user, passwords = (os.environ[f"NOSTRO_AIRFLOW_{name}"] for name in ("URL", "USER", "PASSWORDS"))
    password = json.loads(Path(passwords).read_text(encoding="utf-8"))[user]
    with Client(url, user, password) as client:
        settings.apply(client)
    print(f"{len(settings.connections)} connections, {len(settings.pools)} pools, {len(settings.variables)} variables")


if __name__ == "__main__":
    main()
