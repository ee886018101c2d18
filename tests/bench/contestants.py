"""Who is measured, and how each is driven: nostro, and the peers that install beside Airflow.

Each gets client credentials from the same bank and keeps the token where it keeps it: in memory, or in a cache that
processes share, if it has one.
"""

import importlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from nostro.banks.mangopay.hook import MangopayHook

CONN_ID = "mangopay_default"

# Its library refuses plain http otherwise, also to loopback.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"


@dataclass(frozen=True)
class Bank:
    """A MANGOPAY-like bank, our credentials there, and the folder that our processes share."""

    origin: str
    login: str
    password: str
    folder: Path

    @property
    def token_url(self) -> str:
        return f"{self.origin}/v2.01/oauth/token"

    @property
    def path(self) -> str:
        """A call that costs the bank little."""
        return f"/v2.01/{self.login}/clients"


@dataclass(frozen=True)
class Driven:
    """`token` is what is done for each request to have a token that holds; `call` sends one and gives its status.

    `client` gives the client that `call` uses, if it is httpx's; it is made when it is first wanted.
    """

    token: Callable[[], object]
    call: Callable[[], int]
    client: Callable[[], httpx.Client] | None = None


@dataclass(frozen=True)
class Contestant:
    """`shares` whether processes share its token; `ahead` how many seconds before its end it wants a new one."""

    name: str
    distributions: tuple[str, ...]
    modules: tuple[str, ...]
    open: Callable[[Bank], Driven]
    ahead: int = 0
    shares: bool = False

    @property
    def installed(self) -> bool:
        """Also imports it, so that no measurement pays for that."""
        return all(map(_importable, self.modules))

    @property
    def versions(self) -> list[str]:
        return [f"{name} {metadata.version(name)}" for name in self.distributions]


@cache
def _importable(module: str) -> bool:
    with warnings.catch_warnings(record=True):
        try:
            importlib.import_module(module)
        except ImportError:
            return False
    return True


def hook(bank: Bank) -> MangopayHook:
    """Our hook; its connection is in the environment, its store in the shared folder."""
    connection = {"conn_type": "mangopay", "host": bank.origin, "login": bank.login, "password": bank.password}
    os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"] = json.dumps(connection)
    os.environ["AIRFLOW__NOSTRO__STORE"] = f"sqlite:///{bank.folder / 'nostro.db'}"
    return MangopayHook(CONN_ID)


def client(bank: Bank, **options: Any) -> httpx.Client:
    """A bare client, as ours is but for what we add."""
    return httpx.Client(base_url=bank.origin, timeout=30, trust_env=False, **options)


def _nostro(bank: Bank) -> Driven:
    ours = hook(bank)
    source, signed = ours.access.source, cache(ours.get_conn)
    assert source is not None
    return Driven(source.get, lambda: signed().get(bank.path).status_code, signed)


def _authlib(bank: Bank) -> Driven:
    from authlib.integrations.httpx_client import OAuth2Client

    signed = OAuth2Client(
        bank.login,
        bank.password,
        token_endpoint=bank.token_url,
        grant_type="client_credentials",
        base_url=bank.origin,
        timeout=30,
        trust_env=False,
    )

    def call() -> int:
        if not signed.token:  # it fetches none by itself, it only renews
            signed.fetch_token()
        return signed.get(bank.path).status_code

    return Driven(lambda: signed.ensure_active_token(signed.token), call, lambda: signed)


def _httpx_auth(bank: Bank, tokens: Any) -> Driven:
    from httpx_auth import OAuth2, OAuth2ClientCredentials

    OAuth2.token_cache = tokens
    auth = OAuth2ClientCredentials(bank.token_url, bank.login, bank.password)
    signed = cache(lambda: client(bank, auth=auth))
    ahead, missing = auth.early_expiry, auth.request_new_token
    return Driven(
        lambda: tokens.get_token(auth.state, early_expiry=ahead, on_missing_token=missing),
        lambda: signed().get(bank.path).status_code,
        signed,
    )


def _httpx_auth_memory(bank: Bank) -> Driven:
    from httpx_auth import TokenMemoryCache

    return _httpx_auth(bank, TokenMemoryCache())


def _httpx_auth_file(bank: Bank) -> Driven:
    from httpx_auth import JsonTokenFileCache

    return _httpx_auth(bank, JsonTokenFileCache(bank.folder / "httpx_auth.json"))


def _requests_oauthlib(bank: Bank) -> Driven:
    from oauthlib.oauth2 import BackendApplicationClient, TokenExpiredError
    from requests_oauthlib import OAuth2Session

    session = OAuth2Session(client=BackendApplicationClient(client_id=bank.login))
    session.trust_env = False  # or it reads .netrc for each request
    url = bank.origin + bank.path

    def call() -> int:
        try:
            if session.token:
                return session.get(url).status_code
        except TokenExpiredError:
            pass
        session.fetch_token(bank.token_url, auth=(bank.login, bank.password))
        return session.get(url).status_code

    return Driven(lambda: session._client.add_token(url, headers={}), call)


def _mangopay(bank: Bank, storage: Any) -> Driven:
    from mangopay.api import APIRequest

    url = f"{bank.origin}/v2.01/"
    handler = APIRequest(bank.login, bank.password, api_sandbox_url=url, sandbox=True, storage_strategy=storage)
    handler._session.trust_env = False
    return Driven(handler.auth_manager.get_token, lambda: handler.request("GET", "/clients")[0].status_code)


def _mangopay_static(bank: Bank) -> Driven:
    from mangopay.auth import StaticStorageStrategy

    return _mangopay(bank, StaticStorageStrategy())


def _mangopay_file(bank: Bank) -> Driven:
    import mangopay
    from mangopay.auth import FileStorageStrategy

    mangopay.temp_dir = str(bank.folder)
    return _mangopay(bank, FileStorageStrategy())


def _google(bank: Bank) -> Driven:
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials

    def new_token(request: Any, scopes: Any) -> tuple[str, datetime]:
        answer = _ask(bank).json()
        end = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=answer["expires_in"])
        return answer["access_token"], end  # it wants the end in UTC, and naive

    credentials = Credentials(token=None, refresh_handler=new_token)
    session = AuthorizedSession(credentials)
    session.trust_env = False
    url = bank.origin + bank.path
    return Driven(
        lambda: credentials.before_request(None, "GET", url, {}),
        lambda: session.get(url).status_code,
    )


def _msal(bank: Bank, tokens: Any) -> Driven:
    import requests
    from msal import ConfidentialClientApplication

    issuer = "https://bank.invalid/tenant"
    described = {name: f"{issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint")}
    discovery = SimpleNamespace(status_code=200, headers={}, text=json.dumps({"issuer": issuer, **described}))
    # It talks to https only, and to an endpoint that it discovers: its own way to give it another wire.
    wire = SimpleNamespace(get=lambda *_, **__: discovery, post=lambda *_, **__: _ask(bank), close=lambda: None)
    app = ConfidentialClientApplication(
        bank.login, client_credential=bank.password, oidc_authority=issuer, http_client=wire, token_cache=tokens
    )
    session = requests.Session()
    session.trust_env = False

    def token() -> Any:
        return app.acquire_token_for_client(["payments"])["access_token"]

    def call() -> int:
        return session.get(bank.origin + bank.path, headers={"Authorization": f"Bearer {token()}"}).status_code

    return Driven(token, call)


def _msal_memory(bank: Bank) -> Driven:
    return _msal(bank, None)


def _msal_file(bank: Bank) -> Driven:
    from msal_extensions import FilePersistence, PersistedTokenCache

    return _msal(bank, PersistedTokenCache(FilePersistence(str(bank.folder / "msal.bin"))))


def _ask(bank: Bank) -> Any:
    """One token request, for the peers that leave it to their user."""
    import requests

    form = {"grant_type": "client_credentials"}
    return requests.post(bank.token_url, auth=(bank.login, bank.password), data=form, timeout=30)


NOSTRO = Contestant("nostro", (), (), _nostro, shares=True)

_AUTHLIB = (("authlib",), ("authlib.integrations.httpx_client",))
_HTTPX_AUTH = (("httpx-auth",), ("httpx_auth",))
_REQUESTS_OAUTHLIB = (("requests-oauthlib", "oauthlib"), ("requests_oauthlib", "oauthlib.oauth2"))
_MANGOPAY = (("mangopay4-python-sdk",), ("mangopay.api",))
_GOOGLE = (("google-auth",), ("google.oauth2.credentials", "google.auth.transport.requests"))
_MSAL = (("msal", "msal-extensions"), ("msal", "msal_extensions"))

PEERS = [
    Contestant("authlib OAuth2Client", *_AUTHLIB, _authlib, ahead=60),
    Contestant("httpx-auth, memory", *_HTTPX_AUTH, _httpx_auth_memory, ahead=30),
    Contestant("httpx-auth, JSON file", *_HTTPX_AUTH, _httpx_auth_file, ahead=30, shares=True),
    Contestant("requests-oauthlib", *_REQUESTS_OAUTHLIB, _requests_oauthlib),
    Contestant("mangopay SDK, static", *_MANGOPAY, _mangopay_static, ahead=30),
    Contestant("mangopay SDK, file", *_MANGOPAY, _mangopay_file, ahead=30, shares=True),
    Contestant("google-auth", *_GOOGLE, _google, ahead=225),
    Contestant("msal, memory", *_MSAL, _msal_memory, ahead=300),
    Contestant("msal-extensions, file", *_MSAL, _msal_file, ahead=300, shares=True),
]
