"""Whatever a bank answers to a token request: a token or an error of ours, and no secret anywhere.

`make soak PROFILE=tokens` tries more examples than the suite does; SEED=... repeats a run.
"""

import logging
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import canaries
import httpx
import pytest
from answers import answers, sound
from documents import RIGHT
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st
from raw_bank import CALL, Answer

from nostro.auth.tokens import AccessToken
from nostro.errors import NostroError, TokenEndpointUnavailable

SOAKING = os.environ.get("NOSTRO_SOAK") == "tokens"
EXAMPLES = 5000 if SOAKING else 300
pytestmark = pytest.mark.timeout(3600 if SOAKING else 600)  # a failing example is made smaller before it is shown
SECONDS = 10.0
DETAILS = "mbanq user details"
WITH_REFRESH_TOKENS = pytest.mark.parametrize("desk", ["mbanq", "kunacore"], indirect=True, scope="module")
# What the examples found once, so that each run tries it.
BROKEN = [
    "HTTP/1.1 302 Found\r\nLocation: http://xn--/\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: http://xn--a/\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: mailto:x@y\r\n\r\n",
    f"HTTP/1.1 401 {canaries.PASSWORD}\r\n\r\n",
    f"HTTP/1.1 401 Unauthorized\r\n{canaries.PASSWORD}\r\n\r\n",
    f"HTTP/1.1 {canaries.PASSWORD}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{canaries.TOKEN}\r\n",
    "HTTP/1.1 200 OK\r\nServer: \u00e9\r\n\r\n{}",
    "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html; charset=rot13\r\n\r\nSorry",
    "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html; charset=zlib\r\n\r\nSorry",
    "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html; charset=idna\r\n\r\nSorry",
]


def tried(examples: int) -> settings:
    """New examples each time, nothing remembered: what fails prints how to repeat it."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=False,
        database=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def logins(draw: st.DrawFn, bank: str) -> list[Answer]:
    """Answers to the requests of one login; of Mbanq's two either or both are odd."""
    if bank != "mbanq":
        return [draw(answers(bank))]
    odd = draw(st.sampled_from(["token", "details", "both"]))
    details = sound(RIGHT[DETAILS]) if odd == "token" else draw(answers(DETAILS))
    return [sound(RIGHT[bank]) if odd == "details" else draw(answers(bank)), details]


def check_token(token: Any, now: datetime) -> None:
    assert isinstance(token, AccessToken)
    assert token.value
    assert token.value.isascii()
    assert token.value.isprintable()
    assert token.expires_at.tzinfo is not None
    assert now < token.expires_at <= datetime.now(UTC) + timedelta(days=1, minutes=1)


def check_error(error: NostroError) -> None:
    assert error.remedy in {"fail", "retry", "park", "ask"}
    if error.retry_at is not None:
        assert error.retry_at.tzinfo is not None
        assert error.retry_at <= datetime.now(UTC) + timedelta(days=1, minutes=1)
    assert canaries.found(canaries.said_by(error)) == []


def check(desk, act) -> Any:
    """`act` ends in time, in a sound token, an HTTP answer or a sound error, and nothing that was said is a secret."""
    now, began = datetime.now(UTC), time.monotonic()
    outcome = desk.outcome(act)
    assert time.monotonic() - began < SECONDS
    if isinstance(outcome, NostroError):
        check_error(outcome)
    elif not isinstance(outcome, httpx.Response):
        check_token(outcome, now)
        assert canaries.found([f"{outcome} {outcome!r}"]) == []
    assert canaries.found(desk.said) == []
    # On a machine that stalls even the request may come too late.
    assert desk.bank.received or isinstance(outcome, TokenEndpointUnavailable), (
        "nothing was asked, so nothing is proved"
    )
    return outcome


@tried(EXAMPLES)
@given(data=st.data())
def test_a_login_gives_a_token_or_an_error_of_ours(desk, data):
    desk.bank.play(*data.draw(logins(desk.name), label="answers"))
    event(type(check(desk, desk.hook().get_token)).__name__)


@WITH_REFRESH_TOKENS
@tried(EXAMPLES // 3)
@given(data=st.data())
def test_a_renewal_gives_a_token_or_an_error_of_ours(desk, data):
    """By refresh token and, where that gives nothing, by login: a call is refused, and then the token asked for."""
    desk.bank.play(sound(RIGHT[desk.name]), sound(RIGHT[DETAILS]))
    hook = desk.hook()
    assume(isinstance(check(desk, hook.get_token), AccessToken))
    desk.bank.play(data.draw(answers(desk.name), label="refresh"), *data.draw(logins(desk.name), label="login"))
    with hook.get_conn() as client:
        event(type(check(desk, lambda: client.get(CALL))).__name__)
    assert all(canaries.REFRESH_TOKEN.encode() in request for request in desk.bank.received[:1])
    check(desk, hook.get_token)


@tried(EXAMPLES // 10)
@given(data=st.data())
def test_no_secret_is_a_local_variable_of_an_error(desk, data):
    """Who prints tracebacks with local variables prints no secret."""
    desk.bank.play(*data.draw(logins(desk.name), label="answers"))
    outcome = desk.outcome(desk.hook().get_token)
    if isinstance(outcome, NostroError):
        assert canaries.found(canaries.local_variables(outcome)) == []


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_answers_that_once_got_through(desk, broken):
    desk.bank.play(Answer(broken.encode()))
    assert isinstance(check(desk, desk.hook().get_token), NostroError)


def test_the_right_answer_gives_the_token(desk):
    """And the secrets whose leaks are looked for did travel, and the loggers that could leak them did speak."""
    desk.bank.play(sound(RIGHT[desk.name]), sound(RIGHT[DETAILS]))
    token = check(desk, desk.hook().get_token)
    assert token.value == canaries.TOKEN
    sent = b" ".join(desk.bank.received).decode()
    carried = [canaries.BASIC] if desk.name in {"mangopay", "banking_circle"} else [canaries.PASSWORD]
    carried += [canaries.CLIENT_SECRET] if desk.name == "mbanq" else []
    assert [secret for secret in carried if secret not in sent] == []
    assert {"httpcore.connection", "httpcore.http11", "nostro.wire"} <= {text.partition(":")[0] for text in desk.said}


@pytest.mark.parametrize("secret", canaries.ALL)
@pytest.mark.parametrize("said", ["{}", "x{}y", "{:.20}", "{!r}"])
def test_the_search_finds_a_secret_and_pieces_of_one(secret, said):
    assert canaries.found([said.format(secret)])
    assert canaries.found([said.format(secret).upper()])
    assert canaries.found([f"{said.format(secret).encode('utf-16')}"])


@pytest.mark.parametrize("desk", ["m2p"], indirect=True, scope="module")
def test_the_search_finds_what_is_planted(desk):
    """In an error's words, fields and notes, in what it came from, and in what any logger says."""

    def failed(cause: Exception | None = None, **fields: str) -> NostroError:
        try:
            try:
                raise cause or ValueError
            except ValueError:
                raise NostroError(reason="no", **fields) from None
        except NostroError as error:
            return error

    noted = failed()
    noted.add_note(canaries.TOKEN)
    for error in (failed(cause=ValueError(canaries.TOKEN)), failed(detail=canaries.PASSWORD), noted):
        assert canaries.found(canaries.said_by(error))
    assert not canaries.found(canaries.said_by(failed()))
    desk.hook()
    logging.getLogger("new.logger").debug("%s", canaries.BASIC)
    logging.getLogger("nostro.wire").debug("nothing", extra={"more": canaries.TOKEN})
    assert len(canaries.found(desk.said)) == 2
