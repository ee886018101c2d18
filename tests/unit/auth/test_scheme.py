import asyncio
import threading

import httpx
import pytest

from nostro.auth.scheme import BearerAuth, HeaderAuth, Resending, basic
from nostro.auth.source import TokenSource

RULES = Resending(("/v2/find",), "Idempotency-Key")


@pytest.fixture
def auth(process_tokens, mint):
    return BearerAuth(TokenSource(process_tokens(), ("i",), "anna", mint.grant, "c1", "B"), RULES)


def request(method: str = "GET", path: str = "/v1/x", **more) -> httpx.Request:
    return httpx.Request(method, f"https://bank.example{path}", **more)


def streamed():
    yield b"{}"


async def streamed_async():
    yield b"{}"


def refusal(to: httpx.Request, status: int = 401) -> httpx.Response:
    return httpx.Response(status, request=to)


def sync_run(auth, sent: httpx.Request, *statuses: int) -> list[str]:
    """The Authorization of each request that leaves while the bank answers with `statuses`."""
    flow, left = auth.sync_auth_flow(sent), []
    leaving = next(flow)
    for status in statuses:
        left.append(leaving.headers["Authorization"])
        try:
            leaving = flow.send(refusal(leaving, status))
        except StopIteration:
            break
    return left


def async_run(auth, sent: httpx.Request, *statuses: int) -> list[str]:
    async def run() -> list[str]:
        flow, left = auth.async_auth_flow(sent), []
        leaving = await anext(flow)
        for status in statuses:
            left.append(leaving.headers["Authorization"])
            try:
                leaving = await flow.asend(refusal(leaving, status))
            except StopAsyncIteration:
                break
        return left

    return asyncio.run(run())


@pytest.fixture(params=[sync_run, async_run], ids=["sync", "async"])
def run(request):
    """The flow, sync and async: both promise the same."""
    return request.param


SENT_AGAIN = {
    "GET": request,
    "HEAD": lambda: request("HEAD"),
    "OPTIONS": lambda: request("OPTIONS"),
    "reading POST": lambda: request("POST", "/v2/find", json={}),
    "reading POST with slash and query": lambda: request("POST", "/v2/find/?take=1", json={}),
    "POST with a stable key": lambda: request("POST", json={}, headers={"idempotency-key": "k"}),
    "PUT with a stable key": lambda: request("PUT", json={}, headers={"Idempotency-Key": "k"}),
}
SENT_ONCE = {
    "POST": lambda: request("POST", json={}),
    "PUT": lambda: request("PUT", json={}),
    "PATCH": lambda: request("PATCH", json={}),
    "DELETE": lambda: request("DELETE"),
    "PUT of a search": lambda: request("PUT", "/v2/find", json={}),
    "POST below a search": lambda: request("POST", "/v2/find/all", json={}),
    "POST above a search": lambda: request("POST", "/x/v2/find", json={}),
    "streamed GET": lambda: request(content=streamed()),
    "streamed search": lambda: request("POST", "/v2/find", content=streamed()),
    "streamed async search": lambda: request("POST", "/v2/find", content=streamed_async()),
    "streamed with a stable key": lambda: request("POST", content=streamed(), headers={"Idempotency-Key": "k"}),
}


@pytest.mark.parametrize("make", SENT_AGAIN.values(), ids=SENT_AGAIN)
def test_what_is_safe_is_sent_again_with_a_new_token(auth, mint, run, make):
    """A refused request that only reads, or has a stable key, is sent again once with a new token."""
    assert run(auth, make(), 401, 200) == ["Bearer tok-1", "Bearer tok-2"]
    assert len(mint.asked) == 2


@pytest.mark.parametrize("make", SENT_ONCE.values(), ids=SENT_ONCE)
def test_what_is_not_safe_is_sent_once(auth, mint, run, make):
    """Any other refused request is not sent again; the token is renewed for the next one all the same."""
    assert run(auth, make(), 401, 200) == ["Bearer tok-1"]
    assert run(auth, request(), 200) == ["Bearer tok-2"]
    assert len(mint.asked) == 2


def test_nothing_is_sent_a_third_time(auth, mint, run):
    """A bank that refuses the new token too is not asked again: no loop, no second token."""
    assert run(auth, request(), 401, 401, 401) == ["Bearer tok-1", "Bearer tok-2"]
    assert len(mint.asked) == 2


@pytest.mark.parametrize("status", [200, 204, 302, 400, 403, 404, 429, 500])
def test_other_answers_renew_nothing(auth, mint, run, status):
    """Only a 401 says something of the token."""
    assert run(auth, request(), status, 200) == ["Bearer tok-1"]
    assert len(mint.asked) == 1


def test_a_call_that_no_token_opens_costs_one_renewal_a_minute(auth, mint, clock, run):
    """Refused again with the very token that its last refusal brought, a call is not renewed for in the next minute."""
    run(auth, request(), 401, 401)
    clock.forward(59)
    for _ in range(5):
        assert run(auth, request(), 401, 200) == ["Bearer tok-2"]
    assert len(mint.asked) == 2
    clock.forward(1)
    assert run(auth, request(), 401, 401) == ["Bearer tok-2", "Bearer tok-3"]
    assert run(auth, request(), 401, 200) == ["Bearer tok-3"]


def test_a_hundred_calls_that_no_token_opens_cost_one_renewal(auth, mint, run):
    """Whatever else is refused right after a renewal: another token would not help there either."""
    run(auth, request(), 401, 401)
    for number in range(100):
        assert run(auth, request("GET", f"/v1/other/{number}"), 401) == ["Bearer tok-2"]
    assert len(mint.asked) == 2


def test_a_call_that_went_well_is_renewed_for_at_once(auth, mint, run):
    """Its refusal is news, however young the token: it was revoked."""
    run(auth, request(), 401, 401)
    assert run(auth, request("GET", "/v1/other"), 200) == ["Bearer tok-2"]
    assert run(auth, request("GET", "/v1/other"), 401, 200) == ["Bearer tok-2", "Bearer tok-3"]


def test_an_event_loop_is_never_blocked(process_tokens, mint):
    """A login is done in a thread; a token that is at hand is put on right here, which is quicker."""
    seen = []

    class Seen(BearerAuth):
        def sign(self, request: httpx.Request) -> None:
            seen.append(threading.current_thread() is threading.main_thread())
            super().sign(request)

    auth = Seen(TokenSource(process_tokens(), ("i",), "anna", mint.grant, "c1", "B"), RULES)
    async_run(auth, request(), 200)
    async_run(auth, request(), 401, 200)
    assert seen == [False, True, False]


def test_the_token_that_was_sent_is_the_one_refused(auth, mint, clock):
    """A slow answer to an old token does not cost the new one."""
    old, new = auth.sync_auth_flow(request()), auth.sync_auth_flow(request())
    old_sent, new_sent = next(old), next(new)
    new.send(refusal(new_sent))
    again = old.send(refusal(old_sent))
    assert again.headers["Authorization"] == "Bearer tok-2"
    assert len(mint.asked) == 2


def test_the_token_is_looked_up_for_each_request(auth, clock):
    """A client may be used for hours: each request has the token in force."""
    assert sync_run(auth, request(), 200) == ["Bearer tok-1"]
    clock.forward(7200)
    assert sync_run(auth, request(), 200) == ["Bearer tok-2"]


def test_without_rules_only_reading_is_sent_again():
    """By default neither searches nor keys are known."""
    rules = Resending()
    assert rules.allows(request())
    assert not rules.allows(request("POST", "/v2/find", json={}, headers={"Idempotency-Key": "k"}))


def test_a_fixed_header_is_put_on_and_never_renewed():
    """An API key is sent as it is; a refusal of it is the caller's to see."""
    auth = HeaderAuth("Api-key", "hush")
    flow = auth.sync_auth_flow(request())
    sent = next(flow)
    assert sent.headers["Api-key"] == "hush"
    with pytest.raises(StopIteration):
        flow.send(refusal(sent))
    assert "hush" not in repr(auth)


def test_basic_is_the_seeds_example():
    """Basic is base64 of user, colon and password, as MANGOPAY's page shows it; other letters are UTF-8."""
    assert basic("Aladdin", "ghsiu6hjqQjj") == "Basic QWxhZGRpbjpnaHNpdTZoanFRamo="
    assert basic("ä", "ß") == "Basic w6Q6w58="
