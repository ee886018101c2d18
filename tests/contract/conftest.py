"""What the contract needs to know of a bank: its case, from the bank's own test file."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseHook
from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from nostro import registry
from nostro.hooks import tokens


@dataclass(frozen=True)
class Case:
    """`read` and `write` are requests of the bank's documents: method, path, body.

    `required` are the fields without which there is no access. `search` is a POST that only reads, if there is one;
    `keyed` the header that makes a write safe to send again, if there is one. `tokenless` are the fields that change
    the connection to a mode without tokens, if there is one. `address_field` is where the token endpoint's address is.
    """

    read: tuple[str, str, Any]
    write: tuple[str, str, Any]
    required: tuple[str, ...]
    search: tuple[str, str, Any] | None = None
    keyed: str | None = None
    tokenless: Mapping[str, Any] | None = None
    address_field: str = "host"
    unavailable_host: Mapping[str, Any] = field(default_factory=lambda: {"host": "http://127.0.0.1:1"})


def raw_case(bank: str) -> dict[str, Any]:
    """The CASE of `test_<bank>.py`; {login} and {entity} in its requests are the sandbox's."""
    path = Path(__file__).with_name(f"test_{bank}.py")
    spec = importlib.util.spec_from_file_location(f"case_{bank}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASE


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `bank` for each bank in the registry, or for those whose case has what it `needs`."""
    if "bank" in metafunc.fixturenames:
        needed = metafunc.definition.get_closest_marker("needs")
        banks = [b for b in registry.BANKS if needed is None or raw_case(b).get(needed.args[0])]
        metafunc.parametrize("bank", banks)


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, names) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_filled(item, names) for item in value)
    for name, text in names.items() if isinstance(value, str) else ():
        value = value.replace(name, text)
    return value


@pytest.fixture
def case(bank: str, sandbox) -> Case:
    credentials = sandbox.credentials[bank]
    names = {"{login}": credentials["login"], "{entity}": (credentials["extra"].get("entity_ids") or [""])[0]}
    return Case(**_filled(raw_case(bank), names))


@pytest.fixture
def conn_id(bank, set_connection) -> str:
    return set_connection(bank)


@pytest.fixture
def hook(conn_id):
    return BaseHook.get_hook(conn_id)


@pytest.fixture(autouse=True)
def new_process():
    """Forget this process's memory, as if the next hook were another process's; the store stays."""

    def forget() -> None:
        tokens._token_cache.cache_clear()
        # Airflow's masker compiles all secrets it ever saw into one expression: over hundreds of tests that is slow.
        reset_secrets_masker()

    forget()
    return forget


@pytest.fixture
def secrets_of(sandbox):
    """Every secret of a bank's connection, in the forms in which it could leak."""

    def find(bank: str) -> set[str]:
        fields = sandbox.credentials[bank]
        names = ("secret", "password", "key", "passphrase", "token")
        extra = {v for k, v in fields["extra"].items() if any(n in k for n in names) and isinstance(v, str) and v}
        return {fields["password"], *extra}

    return find


@pytest.fixture
def sent(monkeypatch):
    """Send a case's request over a client; gives the response."""

    def send(client, request, **more):
        method, path, body = request
        return client.request(method, path, **({"json": body} if body is not None else {}), **more)

    return send
