"""Starts the sandbox as its users do, and calls the banks with bare httpx as their own pages say."""

import contextlib
import json
import os
import selectors
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

BANKS = ("mbanq", "m2p", "mangopay", "kunacore", "banking_circle")


class Sandbox:
    def __init__(self, printed: dict[str, Any]) -> None:
        self.printed = printed
        self.urls: dict[str, str] = printed["urls"]
        self.credentials: dict[str, dict[str, Any]] = printed["credentials"]
        self.pki: dict[str, str] = printed["pki"]
        self._clients: dict[str, httpx.Client] = {}

    def tls(self, certificate: str = "certificate", key: str = "private_key") -> ssl.SSLContext:
        """A context that trusts the sandbox and shows one of its client certificates."""
        context = ssl.create_default_context(cadata=self.pki["ca"])
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "client.pem")
            path.write_text(self.pki[key] + self.pki[certificate])
            context.load_cert_chain(path)
        return context

    def client(self, name: str) -> httpx.Client:
        if name not in self._clients:
            verify: Any = self.tls() if name.startswith("banking_circle") else True
            self._clients[name] = httpx.Client(base_url=self.urls[name], verify=verify, trust_env=False)
        return self._clients[name]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def control(self, method: str, path: str, content: Any = None) -> Any:
        return self.client("m2p").request(method, path, json=content).json()

    def stats(self, bank: str) -> dict[str, int]:
        found: dict[str, int] = self.control("GET", "/_stats")[bank]
        return found

    def truth(self, bank: str) -> dict[str, Any]:
        found: dict[str, Any] = self.control("GET", f"/_truth?conn_type={bank}")[bank]
        return found

    def faults(self, bank: str, **faults: Any) -> Any:
        return self.control("POST", "/_faults", {bank: faults})

    # Each bank's login, as its page shows it

    def token_request(self, bank: str) -> httpx.Response:
        return getattr(self, f"_token_{bank}")()  # type: ignore[no-any-return]

    def _token_mbanq(self) -> httpx.Response:
        own = self.credentials["mbanq"]
        form = {
            "client_id": own["extra"]["client_id"],
            "client_secret": own["extra"]["client_secret"],
            "username": own["login"],
            "password": own["password"],
            "grant_type": "password",
        }
        return self.client("mbanq").post("/oauth/token", data=form, headers={"tenantId": own["extra"]["tenant_id"]})

    def _token_m2p(self) -> httpx.Response:
        own = self.credentials["m2p"]
        body = {"clientId": own["login"], "clientSecret": own["password"], "grantType": "client_credentials"}
        return self.client("m2p").post("/auth/token", json=body)

    def _token_mangopay(self) -> httpx.Response:
        own = self.credentials["mangopay"]
        form = {"grant_type": "client_credentials"}
        return self.client("mangopay").post("/v2.01/oauth/token", data=form, auth=(own["login"], own["password"]))

    def _token_kunacore(self) -> httpx.Response:
        own = self.credentials["kunacore"]
        body = {"token": own["login"], "password": own["password"]}
        headers = {"merchant_id": own["extra"]["merchant_id"]}
        return self.client("kunacore").post("/v2/auth/login", json=body, headers=headers)

    def _token_banking_circle(self) -> httpx.Response:
        own = self.credentials["banking_circle"]
        client = self.client("banking_circle_authorization")
        return client.get("/api/v1/authorizations/authorize", auth=(own["login"], own["password"]))

    def refresh(self, bank: str, refresh_token: str) -> httpx.Response:
        extra = self.credentials[bank]["extra"]
        if bank == "kunacore":
            body, headers = {"refreshToken": refresh_token}, {"merchant_id": extra["merchant_id"]}
            return self.client(bank).post("/v2/auth/refresh", json=body, headers=headers)
        form = {
            "client_id": extra["client_id"],
            "client_secret": extra["client_secret"],
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
        }
        return self.client(bank).post("/oauth/token", data=form, headers={"tenantId": extra["tenant_id"]})

    def token(self, bank: str) -> str:
        answer = self.token_request(bank).json()
        return str(answer["data"]["accessToken"] if bank == "kunacore" else answer["access_token"])

    # One call on the data of each bank

    def headers(self, bank: str, token: str | None = None) -> dict[str, str]:
        if bank == "mbanq":
            headers = self.user_headers(token)
            return {**headers, "Fineract-Platform-TFA-Token": self.second_factor(headers)}
        headers = {"Authorization": f"Bearer {token or self.token(bank)}"}
        if bank == "m2p":
            headers["X-TENANT-ID"] = self.credentials["m2p"]["extra"]["tenant_id"]
            headers["Content-Type"] = "application/json"
        return headers

    def user_headers(self, token: str | None = None) -> dict[str, str]:
        """Of Mbanq's user before the second factor."""
        tenant = self.credentials["mbanq"]["extra"]["tenant_id"]
        return {"tenantId": tenant, "Authorization": f"Bearer {token or self.token('mbanq')}"}

    def second_factor(self, headers: dict[str, str]) -> str:
        """Through a code by e-mail; a test may ask more often than codes by time change."""
        post = self.client("mbanq").post
        post("/v1/twofactor", json={"deliveryMethod": "EMAIL"}, headers=headers)
        code = self.truth("mbanq")["one_time_passwords"][-1]["token"]
        answer = post("/v1/twofactor/validate", json={"token": code, "deliveryMethod": "email"}, headers=headers)
        return str(answer.json()["token"])

    def data_call(self, bank: str, headers: dict[str, str]) -> httpx.Response:
        client = self.client(bank)
        if bank == "mbanq":
            return client.get("/v1/clients", headers=headers)
        if bank == "m2p":
            return client.get("/v1/products/", headers=headers)
        if bank == "mangopay":
            return client.get(f"/v2.01/{self.credentials['mangopay']['login']}/users", headers=headers)
        if bank == "kunacore":
            return client.post("/v2/customer/find", json={}, headers=headers)
        return client.get("/api/v1/accounts", headers=headers)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Sandbox]:
    process = subprocess.Popen([sys.executable, "-m", "nostro_sandbox", *arguments], stdout=subprocess.PIPE)
    sandbox = None
    try:
        sandbox = Sandbox(json.loads(_first_line(process)))
        yield sandbox
    finally:
        if sandbox:
            sandbox.close()
        process.terminate()
        assert process.wait(timeout=10) == 0
        assert process.stdout is not None
        process.stdout.close()


def _first_line(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    pipe, line, deadline = process.stdout.fileno(), b"", time.monotonic() + 20
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            assert selector.select(deadline - time.monotonic()), "the sandbox printed no line"
            chunk = os.read(pipe, 65536)
            assert chunk, "the sandbox ended before it printed its line"
            line += chunk
    return line


def until(condition: Callable[[], Any], seconds: float = 5) -> Any:
    """Ask again until it holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")
