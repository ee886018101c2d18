import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nostro.auth.lifetimes import Lifetimes, lifetime, token
from nostro.banks.banking_circle import auth as banking_circle
from nostro.banks.kunacore import auth as kunacore
from nostro.banks.m2p import auth as m2p
from nostro.banks.mangopay import auth as mangopay
from nostro.banks.mbanq import auth as mbanq

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.floats()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False).map(str)
    | st.integers(int(NOW.timestamp()) - 10**6, int(NOW.timestamp()) + 10**6)
    | st.integers(int(NOW.timestamp() * 1000) - 10**9, int(NOW.timestamp() * 1000) + 10**9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=3,
)


@given(stated=JSON)
@example(stated=Decimal("1E-400"))
@example(stated="0.0000001")
@example(stated="1772366400.00000001")
@example(stated=10**4000)
@example(stated="-Infinity")
def test_any_stated_life_is_sound_or_a_value_error(stated):
    """Whatever a bank writes, a life is longer than nought and no longer than a day, or it is a ValueError."""
    try:
        life = lifetime(stated, NOW, HOUR)
    except ValueError:
        return
    assert timedelta() < life <= DAY


@given(stated=JSON, skew=st.integers(-(10**7), 10**7), ahead=st.integers(10, 600))
@example(stated="0.00001", skew=0, ahead=30)
def test_any_token_is_fresh_when_issued_and_renewed_before_it_is_spent(stated, skew, ahead):
    """A token is fresh at first, then to be renewed, then spent, then over, in this order, whatever the bank states."""
    date = f"{NOW + timedelta(seconds=skew):%a, %d %b %Y %H:%M:%S} GMT"
    try:
        made = token("t", stated, lifetimes=Lifetimes(HOUR, timedelta(seconds=ahead)), now=NOW, server_date=date)
    except ValueError:
        return
    assert made.fresh(NOW)
    assert made.issued_at < made.renew_at <= made.spent_at <= made.expires_at <= NOW + DAY


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        (3600, 3600),
        ("300", 300),
        (" 300 ", 300),
        ("1199.5", 1199.5),
        (Decimal("1199.5"), 1199.5),
        (1, 1),
        (3 * 86400, 86400),
        (10**8, 86400),
        (int(NOW.timestamp()) + 1800, 1800),
        (str(int(NOW.timestamp()) + 1800), 1800),
        (int(NOW.timestamp() * 1000) + 1800_000, 1800),
    ],
)
def test_a_life_comes_as_a_number_or_as_text_in_seconds_or_as_an_instant(stated, seconds):
    """Seconds and instants, in seconds or milliseconds, as number or text: each bank's form is read; a day is most."""
    assert lifetime(stated, NOW, HOUR) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "stated", [None, 0, -1, "0", "-300", 10**15, "1e999", "Infinity", int(NOW.timestamp()), int(NOW.timestamp()) - 60]
)
def test_a_life_that_cannot_be_acted_on_is_the_documented_one(stated):
    """Missing, over already or beyond belief: the bank's documented life holds, so that no call asks for a token."""
    assert lifetime(stated, NOW, HOUR) == HOUR


@pytest.mark.parametrize("stated", [True, False, "", "soon", "NaN", "sNaN", "1,5", 3600.0, [], [3600], {}, {"s": 1}])
def test_a_life_that_is_no_number_is_an_error(stated):
    """What is no number is not guessed at."""
    with pytest.raises(ValueError, match="no number"):
        lifetime(stated, NOW, HOUR)


@pytest.mark.parametrize("skew", [-86400, -3600, -5, 0, 5, 3600, 86400])
def test_a_clock_that_is_off_changes_nothing(skew):
    """An instant is compared with the bank's own clock, so that only the difference counts."""
    bank = NOW + timedelta(seconds=skew)
    made = token(
        "t",
        int(bank.timestamp()) + 1800,
        lifetimes=Lifetimes(HOUR),
        now=NOW,
        server_date=f"{bank:%a, %d %b %Y %H:%M:%S} GMT",
    )
    assert made.expires_at == NOW + timedelta(seconds=1800)


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_without_the_banks_clock_ours_serves(date):
    """A missing or malformed Date header leaves our own clock to go by."""
    made = token("t", int(NOW.timestamp()) + 1800, lifetimes=Lifetimes(HOUR), now=NOW, server_date=date)
    assert made.expires_at == NOW + timedelta(seconds=1800)


@pytest.mark.parametrize(
    ("bank", "life", "renewed_after"),
    [
        (m2p, 3600, 3300),
        (m2p, 600, 300),
        (m2p, 300, 270),
        (m2p, 3, 2.7),
        *((bank, 3600, 3570) for bank in (mbanq, mangopay, kunacore)),
        *((bank, 300, 270) for bank in (mbanq, mangopay, kunacore)),
        *((bank, 3, 2.7) for bank in (mbanq, mangopay, kunacore)),
        (banking_circle, 300, 280),
        (banking_circle, 3, 2.7),
    ],
)
def test_each_bank_is_asked_as_far_ahead_as_it_wants(bank, life, renewed_after):
    """M2P is asked five minutes ahead, the others less; a short life is never eaten up by the margin."""
    made = token("t", life, lifetimes=bank._LIFETIMES, now=NOW)
    assert made.renew_at == NOW + timedelta(seconds=renewed_after)
    assert made.fresh(NOW + timedelta(seconds=renewed_after - 0.01))
    assert not made.fresh(made.renew_at)
    assert made.usable(made.renew_at)
    assert not made.usable(made.expires_at)


@pytest.mark.parametrize(
    ("bank", "minutes"), [(mbanq, 60), (m2p, 60), (mangopay, 20), (kunacore, 30), (banking_circle, 5)]
)
def test_a_bank_that_says_nothing_is_taken_by_its_documents(bank, minutes):
    """Without a stated life a token lives as long as the bank's documents say."""
    assert token("t", None, lifetimes=bank._LIFETIMES, now=NOW).expires_at == NOW + timedelta(minutes=minutes)


def test_the_seeds_answers_are_read():
    """The three lifetimes that the banks' pages show, each in its own form, come out right."""
    seed = json.loads('{"m2p": 3600, "kuna": 1707241515, "banking_circle": "300"}')
    issued = datetime.fromtimestamp(1707239715, UTC)
    assert lifetime(seed["m2p"], issued, DAY) == HOUR
    assert lifetime(seed["kuna"], issued, DAY) == timedelta(minutes=30)
    assert lifetime(seed["banking_circle"], issued, DAY) == timedelta(minutes=5)


def test_a_refresh_token_has_a_life_of_its_own():
    """A refresh token's end is counted from its issue; without a refresh token there is no such end."""
    with_one = token("t", 60, lifetimes=Lifetimes(HOUR), now=NOW, refresh_token="r", refresh_life=2 * DAY)
    assert with_one.refresh_expires_at == NOW + 2 * DAY
    assert token("t", 60, lifetimes=Lifetimes(HOUR), now=NOW, refresh_life=2 * DAY).refresh_expires_at is None
