"""How a connection stands, and what a person can do about it: for the command line, and for pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from airflow.sdk.exceptions import AirflowNotFoundException

from nostro.auth.access import Access
from nostro.auth.codes import Codes
from nostro.auth.source import TokenSource
from nostro.errors import ConfigurationError, LeaseTimeout, NostroError
from nostro.hooks.base import BankHook

Standing = Literal["ready", "idle", "waiting", "held", "unusable"]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """`standing`: ready (a token, or none is needed), idle (none yet), waiting (for a person's code), held (the bank
    said no, nobody asks again for now), unusable (fields or settings are wrong). `detail` is one sentence.
    """

    conn_id: str
    standing: Standing
    detail: str


def state_of(hook: BankHook[Any]) -> ConnectionState:
    """How the connection of `hook` stands; no bank is asked."""
    try:
        standing, detail = _standing(hook, hook.access)
    except (NostroError, AirflowNotFoundException) as error:
        standing, detail = "unusable", str(error)
    return ConnectionState(hook.conn_id, standing, detail)


def _standing(hook: BankHook[Any], access: Access) -> tuple[Standing, str]:
    if access.source is None:
        return "ready", f"auth_mode '{access.mode}' needs no token"
    now = access.source.cache.now()
    for source in filter(None, (access.source, access.second_factor)):
        failure = source.state()[1]
        if failure and failure.holds(now):
            return "held", str(failure.held(hook.conn_id))
    if since := access.waiting_since:
        return "waiting", f"a code is awaited since {since:%Y-%m-%d %H:%M} UTC: airflow nostro code {hook.conn_id}"
    token = access.source.state()[0]
    if token and token.usable(now):
        return "ready", "; ".join(
            [f"token valid until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC", *access.remarks(token)]
        )
    return "idle", "no token at present; the next task asks for one"


def have_code_sent(hook: BankHook[Any]) -> datetime:
    """Until when the code that the bank has sent is good; it is asked to send one if none is under way.

    Raises ConfigurationError if no code can be handed in for this connection, and NostroError as a task would.
    """
    source, codes = _by_person(hook)
    with source.cache.database.lease(source.account, source.cache.wait_seconds) as won:
        if not won:
            raise LeaseTimeout(conn_id=hook.conn_id, bank=hook.hook_name, seconds=int(source.cache.wait_seconds))
        awaited = codes.awaited(source.account)
        if awaited and awaited.sent_until and source.cache.now() < awaited.sent_until:
            return awaited.sent_until
        assert hook.access.send_code is not None
        return hook.access.send_code()


def verified_until(hook: BankHook[Any]) -> datetime | None:
    """Until when the second factor is verified already; None if a code is needed."""
    source, _ = _by_person(hook)
    token = source.state()[0]
    return token.expires_at if token and token.usable(source.cache.now()) else None


def hand_in(hook: BankHook[Any], code: str, until: datetime) -> None:
    """Keep `code`, sealed, for the task that asks next; then use it at once, if the bank can be reached from here.

    Raises NostroError as a task would: SecondFactorDue if the bank refused the code.
    """
    source, codes = _by_person(hook)
    codes.hand_in(source.account, code, until)
    source.get()


def _by_person(hook: BankHook[Any]) -> tuple[TokenSource, Codes]:
    source = hook.access.second_factor
    if source is None or hook.access.send_code is None:
        advice = "nothing is to be handed in"
        reason = f"{hook.hook_name} asks for no code, or 'totp_secret' makes them"
        raise ConfigurationError(conn_id=hook.conn_id, field="conn_type", reason=reason, advice=advice)
    return source, source.cache.codes
