"""The five banks as raw sockets, and a connection to each whose secrets are canaries."""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import canaries
import pytest
from airflow.sdk import BaseHook
from airflow.sdk._shared.secrets_masker import reset_secrets_masker
from raw_bank import RawBank, raw_bank

from nostro import registry
from nostro.errors import NostroError
from nostro.hooks import tokens
from nostro_sandbox.pki import Pki

CONN_ID = "c1"
_PATIENCE = 2  # seconds, with a bank that says nothing


class Desk:
    """A bank of raw bytes, this process's connection to it, and all that was logged since its hook was made."""

    def __init__(self, name: str, bank: RawBank, said: list[str]) -> None:
        self.name, self.bank, self.said = name, bank, said

    def hook(self) -> Any:
        """The connection's hook, in a process that remembers nothing."""
        tokens._token_cache.cache_clear()
        # Airflow's masker compiles all secrets it ever saw into one expression: over thousands of tokens that is slow.
        reset_secrets_masker()
        self.said.clear()
        return BaseHook.get_hook(CONN_ID)

    def outcome(self, act: Callable[[], Any]) -> Any:
        """What `act` gives or, if it is one of ours, the error that it raises. Any other error goes through."""
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                result = act()
            except NostroError as error:
                result = error
        self.said.extend(f"{warning.message}" for warning in warned)
        return result


def _extra(bank: str, origin: str, pki: Pki) -> dict[str, Any]:
    printed = pki.printed()
    return {
        "mbanq": {"tenant_id": "acme", "client_id": "cid", "client_secret": canaries.CLIENT_SECRET},
        "m2p": {"tenant_id": "acme", "entity_ids": ["e1"]},
        "kunacore": {"merchant_id": "m-1"},
        "banking_circle": {
            "authorization_url": origin,
            "client_certificate_pem": printed["certificate"],
            "private_key_pem": printed["private_key"],
            "ca_certificates_pem": printed["ca"],
        },
    }.get(bank, {})


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki("passphrase")


@pytest.fixture(scope="module", params=registry.BANKS)
def desk(request: pytest.FixtureRequest, pki: Pki) -> Iterator[Desk]:
    """The desk at each bank; `hook` makes all new, since hypothesis runs many examples in one test."""
    tls = pki.server_context() if request.param == "banking_circle" else None
    with pytest.MonkeyPatch.context() as patch, raw_bank(tls) as bank:
        connection = {
            "conn_type": request.param,
            "host": bank.origin,
            "login": canaries.LOGIN,
            "password": canaries.PASSWORD,
            "extra": {"timeout": _PATIENCE, **_extra(request.param, bank.origin, pki)},
        }
        patch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
        patch.setenv("AIRFLOW__NOSTRO__STORE", "none")
        patch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", os.environ["AIRFLOW__CORE__FERNET_KEY"])
        BaseHook.get_hook(CONN_ID)  # the first one has Airflow set its loggers up; then they can be listened to
        with canaries.everything_logged() as said:
            yield Desk(request.param, bank, said)
