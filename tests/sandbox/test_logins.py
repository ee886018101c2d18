"""The five logins as the banks' own pages show them, and what each refuses."""

import time
from typing import Any

import httpx
import jwt
import pytest
from sandbox_client import BANKS, Sandbox, until


@pytest.mark.parametrize("bank", BANKS)
def test_a_token_opens_the_data(sandbox: Sandbox, bank: str) -> None:
    assert sandbox.data_call(bank, sandbox.headers(bank)).status_code == 200
    stats = sandbox.stats(bank)
    assert (stats["token_requests"], stats["calls"], stats["protocol_errors"]) == (1, 1, 0)


@pytest.mark.parametrize("bank", BANKS)
def test_a_made_up_token_does_not(sandbox: Sandbox, bank: str) -> None:
    headers = {**sandbox.headers(bank), "Authorization": "Bearer made-up"}
    assert sandbox.data_call(bank, headers).status_code == 401
    assert sandbox.stats(bank)["unauthorized"] == 1


@pytest.mark.parametrize("bank", BANKS)
def test_a_bad_token_is_refused_before_the_path_is_looked_up(sandbox: Sandbox, bank: str) -> None:
    headers, client = sandbox.headers(bank), sandbox.client(bank)
    for authorization, status in (("Bearer made-up", 401), (headers["Authorization"], 404)):
        answer = client.get("/no/such/path", headers={**headers, "Authorization": authorization})
        assert answer.status_code == status
    known = {**headers, "Authorization": "Bearer made-up"}
    path = sandbox.data_call(bank, headers).request.url.path
    assert client.delete(path, headers=known).status_code == 401
    assert client.delete(path, headers=headers).status_code == 405
    stats = sandbox.stats(bank)
    assert (stats["unauthorized"], stats["protocol_errors"]) == (2, 2)


@pytest.mark.parametrize("bank", BANKS)
def test_no_authorization_is_a_protocol_error(sandbox: Sandbox, bank: str) -> None:
    headers = sandbox.headers(bank)
    del headers["Authorization"]
    assert sandbox.data_call(bank, headers).status_code == 401
    stats = sandbox.stats(bank)
    assert (stats["unauthorized"], stats["protocol_errors"]) == (1, 1)


def test_the_expiry_fields_differ_as_the_banks_do(sandbox: Sandbox) -> None:
    answers = {bank: sandbox.token_request(bank).json() for bank in BANKS}
    assert answers["mbanq"]["expires_in"] == 3600
    assert answers["m2p"]["expires_in"] == 3600
    assert answers["mangopay"]["expires_in"] == 1200
    assert answers["banking_circle"]["expires_in"] == "300"
    assert abs(answers["kunacore"]["data"]["expiresIn"] - (time.time() + 1800)) < 5


WRONG: list[tuple[str, str, str, dict[str, Any], int]] = [
    # bank, what is wrong, path, request, status
    ("m2p", "form", "/auth/token", {"data": {"clientId": "x", "clientSecret": "x"}}, 415),
    ("m2p", "snake case", "/auth/token", {"json": {"client_id": "x", "client_secret": "x", "grant_type": "x"}}, 400),
    ("m2p", "a field too many", "/auth/token", {"json": {"clientId": "x", "clientSecret": "x", "scope": "x"}}, 400),
    ("m2p", "no JSON", "/auth/token", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ("m2p", "unknown path", "/oauth/token", {"json": {}}, 401),
    ("kunacore", "no merchant", "/v2/auth/login", {"json": {"token": "x", "password": "x"}}, 400),
    ("kunacore", "form", "/v2/auth/login", {"data": {"token": "x"}, "headers": {"merchant_id": "x"}}, 415),
    (
        "kunacore",
        "field",
        "/v2/auth/login",
        {"json": {"email": "x", "password": "x"}, "headers": {"merchant_id": "x"}},
        400,
    ),
    ("kunacore", "refresh without merchant", "/v2/auth/refresh", {"json": {"refreshToken": "x"}}, 400),
    ("mbanq", "no tenant", "/oauth/token", {"data": {"grant_type": "password"}}, 400),
    (
        "mbanq",
        "other header",
        "/oauth/token",
        {"data": {"a": "b"}, "headers": {"Fineract-Platform-TenantId": "x"}},
        400,
    ),
    ("mbanq", "JSON", "/oauth/token", {"json": {"grant_type": "password"}}, 415),
    ("mbanq", "secret in query", "/oauth/token?password=x", {"data": {"grant_type": "password"}}, 400),
    ("mangopay", "no Basic", "/v2.01/oauth/token", {"data": {"grant_type": "client_credentials"}}, 401),
    ("mangopay", "form in JSON type", "/v2.01/oauth/token", {"json": {"grant_type": "client_credentials"}}, 401),
]


@pytest.mark.parametrize(("bank", "what", "path", "request_", "status"), WRONG, ids=[f"{w[0]} {w[1]}" for w in WRONG])
def test_a_wrong_wire_protocol_is_refused(
    sandbox: Sandbox, bank: str, what: str, path: str, request_: dict[str, Any], status: int
) -> None:
    assert sandbox.client(bank).post(path, **request_).status_code == status
    stats = sandbox.stats(bank)
    assert (stats["protocol_errors"], stats["refused_logins"]) == (1, 0)


@pytest.mark.parametrize(
    ("bank", "method", "path"), [("banking_circle", "POST", "authorize"), ("mbanq", "GET", "token")]
)
def test_the_wrong_method_is_refused(sandbox: Sandbox, bank: str, method: str, path: str) -> None:
    where = {"authorize": "banking_circle_authorization", "token": "mbanq"}[path]
    full = {"authorize": "/api/v1/authorizations/authorize", "token": "/oauth/token"}[path]
    assert sandbox.client(where).request(method, full).status_code == 405
    assert sandbox.stats(bank)["protocol_errors"] == 1


@pytest.mark.parametrize("bank", BANKS)
def test_a_wrong_password_is_a_refused_login(sandbox: Sandbox, bank: str) -> None:
    right = sandbox.credentials[bank]["password"]
    sandbox.credentials[bank]["password"] = "wrong"
    try:
        answer = sandbox.token_request(bank)
    finally:
        sandbox.credentials[bank]["password"] = right
    assert answer.status_code in (400, 401)
    assert sandbox.stats(bank)["refused_logins"] == 1
    said = answer.json()
    assert {
        "mbanq": lambda: said["error"] == "invalid_grant",
        "m2p": lambda: said["status"] == 401 and said["type"].startswith("https://www.m2pfintech.com/"),
        "mangopay": lambda: said["error"] == "invalid_client",
        "kunacore": lambda: said["errors"][0]["code"] == "UNAUTHORIZED",
        "banking_circle": lambda: said[0]["errorCode"] == "401",
    }[bank]()


def test_a_secret_in_a_query_is_refused_whatever_it_is_called(sandbox: Sandbox) -> None:
    headers = sandbox.headers("m2p")
    token = headers["Authorization"].split()[1]
    for name, value in (("x", token), ("access_token", "y"), ("z", sandbox.credentials["m2p"]["password"])):
        assert sandbox.client("m2p").get("/v1/products/", params={name: value}, headers=headers).status_code == 400
    assert sandbox.stats("m2p")["protocol_errors"] == 3


# Mbanq


def test_mbanq_refreshes(sandbox: Sandbox) -> None:
    refresh_token = sandbox.token_request("mbanq").json()["refresh_token"]
    renewed = [sandbox.refresh("mbanq", refresh_token).json() for _ in range(2)]
    assert {one["refresh_token"] for one in renewed} == {refresh_token}
    assert sandbox.data_call("mbanq", sandbox.headers("mbanq", renewed[0]["access_token"])).status_code == 200
    sandbox.faults("mbanq", revoke_refresh=True)
    assert sandbox.refresh("mbanq", refresh_token).json()["error"] == "invalid_grant"
    stats = sandbox.stats("mbanq")
    assert (stats["refreshes"], stats["refresh_reuse"], stats["refused_logins"]) == (3, 0, 0)


@pytest.mark.parametrize(
    ("signee", "seconds", "algorithm", "status"),
    [
        ("NOSTRO", 60, "HS512", 200),
        ("OTHER", 60, "HS512", 401),
        ("NOSTRO", -1, "HS512", 401),
        ("NOSTRO", 60, "HS256", 401),
    ],
)
def test_mbanq_takes_a_signed_jwt_without_a_second_factor(
    sandbox: Sandbox, signee: str, seconds: int, algorithm: str, status: int
) -> None:
    own = sandbox.credentials["mbanq"]["extra"]
    claims = {"signee": signee, "exp": int(time.time()) + seconds}
    headers = {"tenantId": own["tenant_id"], "JWT-Token": jwt.encode(claims, own["jwt_secret"], algorithm)}
    assert sandbox.client("mbanq").get("/v1/clients", headers=headers).status_code == status


# M2P


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("X-TENANT-ID", "", 400),
        ("X-TENANT-ID", "other", 403),
        ("Content-Type", "text/plain", 415),
        ("Content-Type", "", 415),
    ],
)
def test_m2p_wants_its_headers_on_a_get_too(sandbox: Sandbox, header: str, value: str, status: int) -> None:
    headers = {**sandbox.headers("m2p"), header: value}
    assert sandbox.client("m2p").get("/v1/products/", headers=headers).status_code == status
    assert sandbox.stats("m2p")["protocol_errors"] == 1


def test_m2p_request_ids_are_for_one_request(sandbox: Sandbox) -> None:
    headers = {**sandbox.headers("m2p"), "X-Request-ID": "one"}
    client, body = sandbox.client("m2p"), {"entityId": sandbox.credentials["m2p"]["extra"]["entity_ids"][0]}
    assert client.post("/v1/wallets/balance", json=body, headers=headers).status_code == 200
    # The same request once more is a repetition, another one is a mistake.
    assert client.post("/v1/wallets/balance", json=body, headers=headers).status_code == 200
    assert client.get("/v1/products/", headers=headers).status_code == 409
    assert sandbox.stats("m2p")["protocol_errors"] == 1


# MANGOPAY


def test_mangopay_takes_basic_on_every_call(sandbox: Sandbox) -> None:
    own, client = sandbox.credentials["mangopay"], sandbox.client("mangopay")
    path = f"/v2.01/{own['login']}/clients/"
    assert client.get(path, auth=(own["login"], own["password"])).json()["ClientId"] == own["login"]
    refused = client.get(path, auth=(own["login"], "wrong"))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert client.get("/v2.01/another/clients", auth=(own["login"], own["password"])).status_code == 403


def test_mangopay_takes_the_words_of_the_real_sdk(sandbox: Sandbox) -> None:
    own, client = sandbox.credentials["mangopay"], sandbox.client("mangopay")
    answer = client.post(
        "/v2.01/oauth/token",
        content=b'{"grant_type": "client_credentials"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=(own["login"], own["password"]),
    )
    headers = {"Authorization": f"{answer.json()['token_type']} {answer.json()['access_token']}"}
    assert sandbox.data_call("mangopay", headers).status_code == 200


def test_mangopay_says_which_401_it_is(sandbox: Sandbox) -> None:
    headers = sandbox.headers("mangopay")
    sandbox.faults("mangopay", sca_required=True)
    wallet = sandbox.truth("mangopay")["accounts"][0]["account_id"]
    path = f"/v2.01/{sandbox.credentials['mangopay']['login']}/wallets/{wallet}/transactions"
    sca = sandbox.client("mangopay").get(path, headers=headers)
    assert (sca.status_code, sca.content) == (401, b"")
    assert sca.headers["www-authenticate"].startswith("PendingUserAction redirectUrl=https://sca.sandbox.mangopay.com/")
    sandbox.faults("mangopay", revoke=True)
    dead = sandbox.client("mangopay").get(path, headers=headers)
    assert (dead.status_code, dead.json()["Type"]) == (401, "invalid_credentials")
    sandbox.faults("mangopay", locked=True)
    locked = sandbox.token_request("mangopay")
    assert (locked.status_code, locked.json()["error"]) == (400, "unauthorized_client")


# Kuna Core


def test_kuna_refresh_tokens_are_for_one_use(sandbox: Sandbox) -> None:
    first = sandbox.token_request("kunacore").json()["data"]
    second = sandbox.refresh("kunacore", first["refreshToken"]).json()["data"]
    replayed = sandbox.refresh("kunacore", first["refreshToken"])
    assert replayed.status_code == 401
    assert replayed.json() == {"errors": [{"code": "REFRESH_TOKEN_EXPIRED", "message": "Invalid token"}]}
    # The whole family is dead now.
    assert sandbox.refresh("kunacore", second["refreshToken"]).status_code == 401
    headers = {"Authorization": f"Bearer {second['accessToken']}"}
    assert sandbox.data_call("kunacore", headers).status_code == 401
    stats = sandbox.stats("kunacore")
    assert (stats["token_requests"], stats["refreshes"], stats["refresh_reuse"]) == (4, 3, 1)
    assert stats["refused_logins"] == 0


def test_kuna_says_when_a_token_expired(sandbox: Sandbox) -> None:
    sandbox.faults("kunacore", token_lifetime=0.1)
    headers = sandbox.headers("kunacore")
    answer = until(lambda: (a := sandbox.data_call("kunacore", headers)).status_code == 401 and a)
    message = answer.json()["errors"][0]["message"]
    assert (message["name"], message["message"]) == ("TokenExpiredError", "jwt expired")


@pytest.mark.parametrize(("right", "status"), [(True, 200), (False, 401)])
def test_kuna_takes_an_api_key(sandbox: Sandbox, right: bool, status: int) -> None:
    key = sandbox.credentials["kunacore"]["extra"]["api_key"] if right else "wrong"
    assert sandbox.data_call("kunacore", {"Api-key": key}).status_code == status
    assert sandbox.stats("kunacore")["refused_logins"] == (0 if right else 1)


# Banking Circle


def test_banking_circle_binds_the_token_to_the_certificate(sandbox: Sandbox) -> None:
    token = sandbox.token("banking_circle")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert len(claims["thumbprint"]) == 40
    headers = {"Authorization": f"Bearer {token}"}
    other = sandbox.tls("second_certificate", "second_private_key")
    with httpx.Client(base_url=sandbox.urls["banking_circle"], verify=other, trust_env=False) as client:
        refused = client.get("/api/v1/accounts", headers=headers)
    assert refused.status_code == 401
    assert refused.json()[0]["errorText"] == "The token belongs to another certificate"
