"""The log of requests: which came when, and nothing that could be secret."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sandbox_client import BANKS, Sandbox, until

from nostro_sandbox.log import RequestLog


def _log(sandbox: Sandbox, bank: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.control("GET", f"/_log?conn_type={bank}")
    return found


@pytest.mark.parametrize("bank", BANKS)
def test_requests_are_listed_as_they_came(sandbox: Sandbox, bank: str) -> None:
    began = time.time()
    headers = sandbox.headers(bank)
    call = sandbox.data_call(bank, {**headers, "Authorization": "Bearer made-up"}).request
    sandbox.client(bank).get("/no/such/path?page=7", headers=headers)
    log = _log(sandbox, bank)
    assert all(set(entry) == {"at", "method", "path", "status"} for entry in log)
    instants = [began, *(entry["at"] for entry in log), time.time()]
    assert instants == sorted(instants)
    assert log[0]["status"] == 200
    found = [(entry["method"], entry["path"], entry["status"]) for entry in log[-2:]]
    assert found == [(call.method, call.url.path, 401), ("GET", "/no/such/path", 404)]
    others = [name for name in BANKS if name != bank]
    assert not any(_log(sandbox, name) for name in others)


def test_the_instant_is_that_of_the_arrival(sandbox: Sandbox) -> None:
    sandbox.faults("m2p", delay_token=1, clock_offset=-7200)
    with ThreadPoolExecutor(1) as pool:
        asked = time.time()
        answer = pool.submit(sandbox.token_request, "m2p")
        under_way = until(lambda: _log(sandbox, "m2p"))[0]
        assert under_way["status"] is None
        assert answer.result().status_code == 200
    (entry,) = _log(sandbox, "m2p")
    assert entry == {**under_way, "status": 200}
    assert asked <= entry["at"] < time.time() - 1


def test_a_lost_answer_has_no_status(sandbox: Sandbox) -> None:
    sandbox.faults("m2p", lose_token_response={"times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.token_request("m2p")
    assert [entry["status"] for entry in _log(sandbox, "m2p")] == [None]


def test_a_reset_empties_the_log(sandbox: Sandbox) -> None:
    sandbox.token("m2p")
    sandbox.control("POST", "/_reset")
    assert _log(sandbox, "m2p") == []


def test_the_last_ten_thousand_are_kept() -> None:
    log = RequestLog()
    for number in range(10_001):
        log.arrived("GET", f"/{number}")
    paths = [entry["path"] for entry in log.entries()]
    assert (len(paths), paths[0], paths[-1]) == (10_000, "/1", "/10000")


@pytest.mark.parametrize("query", ["", "?conn_type=no_such_bank"])
def test_a_bank_has_to_be_named(sandbox: Sandbox, query: str) -> None:
    answer = sandbox.client("m2p").get("/_log" + query)
    assert (answer.status_code, answer.json()) == (400, {"problems": ["conn_type is none of the banks"]})
