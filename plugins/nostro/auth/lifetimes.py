"""From what a bank says of a token's life to the three instants that we act on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from nostro.auth.tokens import Token
from nostro.wire import http_date

# Numbers up to here can be a lifetime in seconds (three years); larger ones are instants since 1970.
_LONGEST_LIFETIME = 10**8
_FIRST_MILLISECOND_INSTANT = 10**11
_MOST_DIGITS = 14
# A token said to live longer is asked for again after a day: no bank of ours documents more than two.
_LONGEST_TRUSTED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """A bank's documented token life, and how long before its end the bank wants it renewed."""

    documented: timedelta
    renew_ahead: timedelta = timedelta(seconds=30)


def lifetime(stated: Any, received_at: datetime, documented: timedelta) -> timedelta:
    """The life that `stated`, a token answer's `expires_in` or `expiresIn`, gives a token received at `received_at`.

    Takes a number or a numeric string, in seconds or as an instant (seconds or milliseconds since 1970). What is
    missing, already over, under a second or beyond belief cannot be acted on and gives the documented life: asking
    again with every call would be the one wrong answer, and a token that is dead all the same is refused by the bank
    and renewed once.

    Raises ValueError for anything that is no number.
    """
    if stated is None:
        return documented
    if isinstance(stated, bool) or not isinstance(stated, int | str | Decimal):
        raise ValueError("a lifetime that is no number")
    try:
        number = Decimal(stated)
    except ArithmeticError:
        raise ValueError("a lifetime that is no number") from None
    if number.is_nan():
        raise ValueError("a lifetime that is no number")
    if number.is_infinite() or number.adjusted() > _MOST_DIGITS:
        return documented
    if number > _LONGEST_LIFETIME:
        instant = number / 1000 if number > _FIRST_MILLISECOND_INSTANT else number
        number = instant - Decimal(received_at.timestamp())
    if number < 1:
        return documented
    return min(timedelta(seconds=float(number)), _LONGEST_TRUSTED)


def token(
    value: str,
    stated: Any,
    *,
    lifetimes: Lifetimes,
    now: datetime,
    server_date: str | None = None,
    refresh_token: str | None = None,
    refresh_life: timedelta | None = None,
    notes: dict[str, str] | None = None,
) -> Token:
    """A token issued `now`, by our clock, whose life is `stated` by the bank.

    An instant is compared with the bank's own clock (the answer's Date header) where it tells it, so that a clock that
    is off, here or there, changes nothing: only the difference counts.
    """
    life = lifetime(stated, http_date(server_date) or now, lifetimes.documented)
    # The bank's own margin, unless it would eat more than half of a short life: then a tenth of that life.
    ahead = lifetimes.renew_ahead if life >= 2 * lifetimes.renew_ahead else life / 10
    return Token(
        value=value,
        issued_at=now,
        renew_at=now + life - ahead,
        spent_at=now + life - min(timedelta(seconds=10), life / 20),
        expires_at=now + life,
        refresh_token=refresh_token,
        refresh_expires_at=now + refresh_life if refresh_token and refresh_life else None,
        notes=notes or {},
    )
