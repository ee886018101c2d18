"""The wire: signed for one origin, one redacted line per request.

Every bank in the registry is held to these promises, over real sockets to the sandbox.
"""

import asyncio
import logging

import httpx
import pytest
from airflow.sdk import BaseHook

from nostro.errors import (
    ConfigurationError,
    OriginRefused,
)


def test_a_request_to_another_origin_is_refused(bank, hook, sandbox):
    """Before anybody logs in for it, on an event loop too."""

    async def ask() -> None:
        async with await hook.get_async_conn() as client:
            await client.get("https://example.com/")

    with pytest.raises(OriginRefused):
        asyncio.run(ask())
    with hook.get_conn() as client:
        for other in (
            "https://example.com/",
            str(client.base_url).replace("127.0.0.1", "localhost"),
            "http://127.0.0.1:1/",
        ):
            with pytest.raises(OriginRefused, match="signs requests to"):
                client.get(other)
    assert sandbox.count(bank, "token_requests") == 0


def test_a_redirect_is_not_followed(case, hook, sent, monkeypatch):
    """Also where the caller asks for it: the next request would carry the credentials along."""
    with hook.get_conn() as client:
        location = {"location": str(client.base_url)}
        monkeypatch.setattr(client._transport, "handle_request", lambda request: httpx.Response(302, headers=location))
        assert sent(client, case.read, follow_redirects=True).status_code == 302


def test_each_request_is_one_redacted_line(bank, case, hook, sandbox, secrets_of, sent, caplog):
    """Method, path, status, milliseconds, request id at DEBUG; no secret, token or query from any logger."""
    caplog.set_level(logging.DEBUG)
    method, path, _ = case.read
    with hook.get_conn() as client:
        sent(client, case.read, params={"canary": "query-canary"})
    lines = [record.getMessage() for record in caplog.records if record.name == "nostro.wire"]
    assert [line for line in lines if line.startswith(f"{method} {path.split('?')[0]} -> ")]
    assert "query-canary" not in "\n".join(lines)
    everything = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    for secret in (*secrets_of(bank), hook.get_token().value):
        assert secret not in everything


def test_more_headers_are_sent_but_none_that_sign(bank, case, set_connection, sent):
    hook = BaseHook.get_hook(set_connection(bank, extra={"headers": {"X-Custom": "yes"}}))
    with hook.get_conn() as client:
        assert sent(client, case.read).request.headers["X-Custom"] == "yes"
    for name in ("Authorization", "tenantId", "X-TENANT-ID", "idempotency-key", "Api-key", "merchant_id", "JWT-Token"):
        hook = BaseHook.get_hook(set_connection(bank, extra={"headers": {name: "x"}}))
        with pytest.raises(ConfigurationError, match="headers"):
            hook.get_conn()
