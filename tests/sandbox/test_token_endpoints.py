"""What else a token endpoint can do: refuse in several words, give the same again, trickle, count, rotate."""

import json
import time
from typing import Any

import httpx
import pytest
from sandbox_client import BANKS, Sandbox, until

LOCKED: dict[str, tuple[int, Any]] = {
    "mbanq": (400, {"error": "invalid_grant", "error_description": "User account is locked"}),
    "m2p": (
        401,
        {
            "type": "https://www.m2pfintech.com/problem/problem-with-message",
            "title": "Request refused",
            "status": 401,
            "detail": "The client is locked",
            "message": "error.http.401",
        },
    ),
    "mangopay": (
        400,
        {
            "error": "unauthorized_client",
            "error_description": "This account has been temporarily locked because of too many failed attempts",
        },
    ),
    "kunacore": (403, {"errors": [{"code": "USER_BLOCKED", "message": "User is blocked"}]}),
    "banking_circle": (403, [{"errorCode": "403", "errorText": "The user is locked"}]),
}


def _tokens(bank: str, answer: httpx.Response) -> tuple[str, Any, str]:
    """The access token, its stated expiry and the refresh token of an answer."""
    said = answer.json()
    if bank == "kunacore":
        return said["data"]["accessToken"], said["data"]["expiresIn"], said["data"]["refreshToken"]
    return said["access_token"], said["expires_in"], said.get("refresh_token", "")


@pytest.mark.parametrize("bank", BANKS)
def test_a_locked_user_is_told_so(sandbox: Sandbox, bank: str) -> None:
    sandbox.faults(bank, locked=True)
    answer = sandbox.token_request(bank)
    assert (answer.status_code, answer.json()) == LOCKED[bank]
    assert sandbox.stats(bank)["refused_logins"] == 1


@pytest.mark.parametrize("bank", ["mbanq", "kunacore"])
def test_a_locked_user_cannot_refresh_and_keeps_the_refresh_token(sandbox: Sandbox, bank: str) -> None:
    _, _, refresh_token = _tokens(bank, sandbox.token_request(bank))
    sandbox.faults(bank, locked=True)
    answer = sandbox.refresh(bank, refresh_token)
    assert (answer.status_code, answer.json()) == LOCKED[bank]
    sandbox.faults(bank)
    assert sandbox.refresh(bank, refresh_token).status_code == 200


@pytest.mark.parametrize("bank", BANKS)
def test_an_address_can_be_refused(sandbox: Sandbox, bank: str) -> None:
    headers = sandbox.headers(bank)
    sandbox.faults(bank, address_refused=True)
    answer = sandbox.token_request(bank)
    assert answer.status_code == 403
    assert "The IP address 127.0.0.1 is not on the allow-list" in answer.text
    if bank == "banking_circle":
        assert answer.headers["content-type"].startswith("text/html")
    else:
        assert {
            "mbanq": lambda said: said["error"] == "access_denied",
            "m2p": lambda said: (said["status"], said["message"]) == (403, "error.http.403"),
            "mangopay": lambda said: said["error"] == "access_denied",
            "kunacore": lambda said: said["errors"][0]["code"] == "FORBIDDEN",
        }[bank](answer.json())
    stats = sandbox.stats(bank)
    assert (stats["token_requests"], stats["refused_logins"], stats["protocol_errors"]) == (2, 0, 0)
    assert sandbox.data_call(bank, headers).status_code == 200


@pytest.mark.parametrize("bank", BANKS)
def test_the_same_token_can_come_again(sandbox: Sandbox, bank: str) -> None:
    sandbox.faults(bank, token_lifetime=100, same_token=True)
    token, stated, _ = _tokens(bank, sandbox.token_request(bank))

    def left() -> float:
        again, now_stated, _ = _tokens(bank, sandbox.token_request(bank))
        assert again == token
        assert isinstance(now_stated, type(stated))
        return float(now_stated) - (time.time() if bank == "kunacore" else 0)

    assert 97 < left() <= 100
    until(lambda: left() < 99)
    sandbox.faults(bank, revoke=True, same_token=True)
    assert _tokens(bank, sandbox.token_request(bank))[0] != token


def test_the_same_token_never_goes_to_another_certificate(sandbox: Sandbox) -> None:
    sandbox.faults("banking_circle", same_token=True)
    own, first = sandbox.credentials["banking_circle"], sandbox.token("banking_circle")
    other = sandbox.tls("second_certificate", "second_private_key")
    url = sandbox.urls["banking_circle_authorization"]
    with httpx.Client(base_url=url, verify=other, trust_env=False) as client:
        answer = client.get("/api/v1/authorizations/authorize", auth=(own["login"], own["password"]))
    assert answer.json()["access_token"] != first
    assert sandbox.token("banking_circle") == first


@pytest.mark.parametrize("bank", BANKS)
def test_an_answer_can_trickle(sandbox: Sandbox, bank: str) -> None:
    sandbox.faults(bank, drip_token=0.001)
    began = time.monotonic()
    answer = sandbox.token_request(bank)
    assert time.monotonic() - began >= (len(answer.content) - 1) * 0.001
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert sandbox.data_call(bank, sandbox.headers(bank, _tokens(bank, answer)[0])).status_code == 200


def test_a_trickle_comes_byte_by_byte_and_may_be_left(sandbox: Sandbox) -> None:
    own, client = sandbox.credentials["m2p"], sandbox.client("m2p")
    body = {"clientId": own["login"], "clientSecret": own["password"], "grantType": "client_credentials"}
    sandbox.faults("m2p", drip_token=0.05)
    with client.stream("POST", "/auth/token", json=body) as answer:
        assert 1 <= len(next(answer.iter_raw())) < 10
    sandbox.faults("m2p")
    assert json.loads(sandbox.token_request("m2p").content)["access_token"]


@pytest.mark.parametrize("bank", BANKS)
def test_a_rate_is_kept(sandbox: Sandbox, bank: str) -> None:
    sandbox.faults(bank, token_rate={"per_minute": 2})
    assert [sandbox.token_request(bank).status_code for _ in range(4)] == [200, 200, 429, 429]
    assert 55 < int(sandbox.token_request(bank).headers["retry-after"]) <= 60
    stats = sandbox.stats(bank)
    assert (stats["token_requests"], stats["throttled"], stats["refused_logins"]) == (5, 3, 0)


def test_the_minute_of_a_rate_slides(sandbox: Sandbox) -> None:
    sandbox.faults("m2p", token_rate={"per_minute": 1, "minute_lasts": 1})
    assert sandbox.token_request("m2p").status_code == 200
    let_in = time.monotonic()
    refused = sandbox.token_request("m2p")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    # What was refused does not count.
    until(lambda: sandbox.token_request("m2p").status_code == 200)
    assert time.monotonic() - let_in > 0.9
    assert sandbox.token_request("m2p").status_code == 429


@pytest.mark.parametrize("bank", ["mbanq", "kunacore"])
def test_refresh_tokens_rotate_and_a_used_one_ends_its_family(sandbox: Sandbox, bank: str) -> None:
    if bank == "mbanq":
        sandbox.faults(bank, rotate_refresh=True)
    stranger, _, _ = _tokens(bank, sandbox.token_request(bank))
    access, _, refresh_token = _tokens(bank, sandbox.token_request(bank))
    renewed, _, next_refresh_token = _tokens(bank, sandbox.refresh(bank, refresh_token))
    assert len({refresh_token, next_refresh_token, access, renewed}) == 4
    assert sandbox.data_call(bank, sandbox.headers(bank, access)).status_code == 200
    assert sandbox.refresh(bank, refresh_token).status_code in (400, 401)
    assert sandbox.refresh(bank, next_refresh_token).status_code in (400, 401)
    for token, status in ((access, 401), (renewed, 401), (stranger, 200)):
        assert _opens(sandbox, bank, token) == status
    stats = sandbox.stats(bank)
    assert (stats["refreshes"], stats["refresh_reuse"], stats["refused_logins"]) == (3, 1, 0)


def _opens(sandbox: Sandbox, bank: str, token: str) -> int:
    if bank == "mbanq":
        answer = sandbox.client(bank).get("/v1/userdetails", headers=sandbox.user_headers(token))
    else:
        answer = sandbox.data_call(bank, sandbox.headers(bank, token))
    return answer.status_code
