"""One connection's token, as the workers of a fleet get it from one database and one bank."""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from nostro.auth.cache import WAIT_SECONDS, TokenCache
from nostro.auth.grant import Grant
from nostro.auth.source import TokenSource
from nostro.auth.tokens import Token
from nostro.database.memory import MemoryDatabase
from nostro.database.schema import METADATA
from nostro.errors import (
    AccountLocked,
    AddressRefused,
    AuthError,
    CertificateError,
    CodeRefused,
    CredentialsRefused,
    LeaseTimeout,
    LoginsThrottled,
    PasswordExpired,
    SealBroken,
    StoreUnavailable,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)
from nostro.wire import TOKEN_SECONDS

IDENTITIES = ("i-1",)
NAMED = {"conn_id": "c1", "bank": "B", "host": "https://b"}
REFUSED = CredentialsRefused(**NAMED, code="x", fields_to_check="y")
FINAL = {
    "refused": REFUSED,
    "code": CodeRefused(**NAMED, code="x", fields_to_check="y"),
    "locked": AccountLocked(**NAMED, advice="ask"),
    "expired": PasswordExpired(**NAMED, advice="ask"),
}
UNEXPECTED = UnexpectedAnswer(
    conn_id="c1", bank="B", operation="a token request", status=None, request_id="-", reason="x", advice="y"
)


def unavailable(*, acted: bool, retry_at=None) -> TokenEndpointUnavailable:
    return TokenEndpointUnavailable(retry_at=retry_at, **NAMED, reason="status 503", acted=acted, advice="wait")


def address_refused(retry_at=None) -> AddressRefused:
    return AddressRefused(retry_at=retry_at, **NAMED, code="x", advice="ask")


def throttled(retry_at=None) -> LoginsThrottled:
    return LoginsThrottled(retry_at=retry_at, **NAMED, reason="too many", acted=False, advice="wait")


class Died(BaseException):
    """The worker's process ends here."""


class WatchedDatabase(MemoryDatabase):
    """A database that tells what it was asked for, and lets others be quicker; `down` is what it fails with."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.waits = 0, []
        self.meanwhile = lambda: None
        self.down = None

    def all(self, query):
        self.reads += 1
        return super().all(query)

    def begin(self):
        if self.down:
            raise self.down
        return super().begin()

    def lease(self, key, wait_seconds):
        self.waits.append(wait_seconds)
        self.meanwhile()
        return super().lease(key, wait_seconds)


@dataclass
class Beside:
    """Work that a worker has begun beside itself: done at once, or when the test says so."""

    at_once: bool = True
    begun: list = field(default_factory=list)

    def __call__(self, work, name) -> None:
        self.begun.append(work)
        if self.at_once:
            self.finish()

    def finish(self) -> None:
        self.begun.pop(0)()


@pytest.fixture
def database():
    return WatchedDatabase()


@pytest.fixture
def masked():
    return []


@pytest.fixture
def beside():
    return Beside()


@pytest.fixture
def worker(database, seal, clock, masked, beside, mint):
    """One more process of the fleet, with the connection's token as it sees it."""

    def make(identities=IDENTITIES, conn_id: str = "c1") -> TokenSource:
        cache = TokenCache(database, seal, mask=masked.append, now=clock, beside=beside)
        return TokenSource(cache, identities, f"account of {identities[0]}", mint.grant, conn_id, "B")

    return make


@pytest.fixture
def source(worker):
    return worker()


@pytest.fixture
def put(source, seal, clock):
    """Another worker's token in the database, in place of what is there."""

    def save(token) -> None:
        store = source.cache.store
        row = store.load(IDENTITIES)
        assert store.save(IDENTITIES, token, replaces=row.generation if row else 0)

    return save


# A token while it lives


def test_a_fresh_token_costs_nothing(source, mint, database, clock):
    """While a token is fresh, neither bank nor database is asked, and no lease is taken."""
    source.get()
    before = (database.reads, len(database.waits))
    clock.forward(3000)
    assert {source.get().value for _ in range(100)} == {"tok-1"}
    assert (database.reads, len(database.waits)) == before
    assert mint.asked == [None]


def test_another_workers_token_is_taken_from_the_database(source, mint, put, token_of):
    """A process that begins finds the token that another one got, and asks for none."""
    put(token_of("from-the-database"))
    assert source.get().value == "from-the-database"
    assert mint.asked == []


def test_nobody_waits_for_the_renewal_of_a_stale_token(source, mint, database, clock, beside):
    """A stale token is handed out at once, while it is renewed beside; the next call has the new one."""
    source.get()
    beside.at_once = False
    clock.forward(3400)
    reads = database.reads
    assert source.get().value == "tok-1"
    assert (database.reads, mint.asked) == (reads, [None])
    beside.finish()
    assert source.get().value == "tok-2"
    assert database.waits[-1] == 0
    assert beside.begun == []


def test_one_thread_at_a_time_renews_in_a_process(source, clock, beside):
    """However many calls find the token stale, one renewal is begun, and after it another one may be."""
    source.get()
    beside.at_once = False
    clock.forward(3400)
    for _ in range(20):
        source.get()
    assert len(beside.begun) == 1
    beside.finish()
    clock.forward(3400)
    source.get()
    assert len(beside.begun) == 1


def test_one_worker_of_the_fleet_renews_a_stale_token(worker, mint, clock):
    """Who comes later finds the new token in the database, also if it has the old one in memory."""
    fleet = [worker() for _ in range(5)]
    assert {source.get().value for source in fleet} == {"tok-1"}
    clock.forward(3400)
    assert {source.get().value for source in fleet} == {"tok-1"}
    assert {source.get().value for source in fleet} == {"tok-2"}
    assert mint.asked == [None, None]


def test_a_stale_token_from_the_database_is_used_at_once(worker, mint, clock, beside):
    """A process that begins amid a renewal does not wait for it either."""
    worker().get()
    clock.forward(3400)
    beside.at_once = False
    late = worker()
    assert late.get().value == "tok-1"
    beside.finish()
    assert late.get().value == "tok-2"


def test_while_another_renews_a_worker_looks_again_soon(source, mint, database, clock):
    """Who does not get the lease on a stale token goes on with it, and looks a second later, not with each call."""
    source.get()
    clock.forward(3400)
    with database.lease(source.account, 0):
        for _ in range(20):
            assert source.get().value == "tok-1"
        assert database.waits.count(0) == 2  # the test's own is one of them
        clock.forward(1)
        source.get()
        assert database.waits.count(0) == 3
    assert mint.asked == [None]


def test_where_no_thread_can_begin_the_token_serves_on(source, mint, clock, beside):
    """At the interpreter's end nothing is begun any more, and nothing fails."""

    def no_thread(work, name):
        raise RuntimeError("can't start new thread")

    source.get()
    clock.forward(3400)
    source.cache.beside = no_thread
    assert [source.get().value for _ in range(2)] == ["tok-1"] * 2
    source.cache.beside = beside
    source.get()
    assert source.get().value == "tok-2"


@pytest.mark.parametrize("error", [unavailable(acted=True), throttled(), *FINAL.values()], ids=str)
def test_a_failing_renewal_ahead_of_the_end_is_only_logged(source, mint, clock, caplog, error):
    """A bank that cannot renew yet does not stop work: the token still lives, and a warning says what failed."""
    source.get()
    clock.forward(3400)
    mint.fails = error
    with caplog.at_level(logging.WARNING):
        assert [source.get().value for _ in range(2)] == ["tok-1"] * 2
    assert "'c1'" in caplog.text
    assert str(error) in caplog.text
    assert "tok-1" not in caplog.text


def test_a_failing_renewal_is_tried_now_and_then(worker, mint, clock):
    """Over the five minutes ahead of the end, a call each second on each of five workers: tried again, but seldom."""
    fleet = [worker() for _ in range(5)]
    assert {source.get().value for source in fleet} == {"tok-1"}
    clock.forward(3300)
    mint.fails = unavailable(acted=True)
    for _ in range(280):
        for source in fleet:
            assert source.get().value == "tok-1"
            clock.forward(0.2)
    assert 3 <= len(mint.asked) - 1 <= 20


def test_a_renewal_that_failed_is_made_good(source, mint, clock):
    """Once the bank can again, a later call has the new token, well before the old one's end."""
    source.get()
    clock.forward(3400)
    mint.fails = unavailable(acted=True)
    source.get()
    mint.fails = None
    clock.forward(60)
    source.get()
    assert source.get().value == "tok-3"


@pytest.mark.parametrize("error", FINAL.values(), ids=FINAL)
def test_what_is_final_stops_renewals_but_not_the_token(source, mint, clock, error):
    """After a refusal nobody asks again, and the token that still lives serves to its end."""
    source.get()
    clock.forward(3400)
    mint.fails = error
    while clock() < source.cache.memory[IDENTITIES[0]].spent_at:
        assert source.get().value == "tok-1"
        clock.forward(10)
    assert len(mint.asked) == 2
    with pytest.raises(type(error)):
        source.get()
    assert len(mint.asked) == 2


# No token


def test_a_spent_token_is_waited_for(source, database, clock):
    """Without a usable token a worker waits for the lease, longer than any token request may take."""
    source.get()
    clock.forward(3600)
    assert source.get().value == "tok-2"
    assert database.waits == [WAIT_SECONDS, WAIT_SECONDS]
    assert WAIT_SECONDS > TOKEN_SECONDS


def test_a_token_in_its_last_seconds_is_not_sent(source, clock):
    """A token that would end on its way is not used any more."""
    token = source.get()
    clock.instant = token.spent_at
    assert clock() < token.expires_at
    assert source.get().value == "tok-2"


def test_a_failing_login_is_raised(source, mint):
    """Without a usable token, what the bank says is what the caller gets."""
    mint.fails = unavailable(acted=True)
    with pytest.raises(TokenEndpointUnavailable) as raised:
        source.get()
    assert raised.value is mint.fails


def test_waiting_for_another_login_ends(source, mint, database):
    """A worker that waited in vain says for whom and how long, and asks the bank for nothing."""
    source.cache.wait_seconds = 0.01
    with database.lease(source.account, 0), pytest.raises(LeaseTimeout, match="'c1'") as timeout:
        source.get()
    assert timeout.value.remedy == "retry"
    assert mint.asked == []


def test_a_token_that_came_while_waiting_in_vain_is_used(source, mint, database, put, token_of):
    """Who has the lease for too long may have brought a token all the same."""
    source.cache.wait_seconds = 0.01
    with database.lease(source.account, 0):
        database.meanwhile = lambda: put(token_of("the-holders"))
        assert source.get().value == "the-holders"
    assert mint.asked == []


@pytest.mark.parametrize("token", ["spent", "refused"])
def test_no_useless_token_is_handed_out_after_waiting_in_vain(source, mint, database, put, token_of, clock, token):
    """A token that is spent, or the very one that was refused, is none."""
    put(token_of("old"))
    clock.forward(3600 if token == "spent" else 0)
    source.cache.wait_seconds = 0.01
    with database.lease(source.account, 0), pytest.raises(LeaseTimeout):
        source.get(refused="old" if token == "refused" else "")
    assert mint.asked == []


def test_what_the_leases_holder_got_is_taken(source, mint, database, put, token_of):
    """Who waited for the lease looks again first, and takes the token that its holder got."""
    database.meanwhile = lambda: put(token_of("the-holders"))
    assert source.get().value == "the-holders"
    assert mint.asked == []


def test_a_refused_token_is_renewed(source, mint):
    """A token that the bank refuses is replaced, however fresh it looks, and once."""
    source.get()
    assert [source.get(refused="tok-1").value for _ in range(2)] == ["tok-2"] * 2
    assert source.get().value == "tok-2"
    assert len(mint.asked) == 2


def test_only_the_refused_generation_is_dropped(source, mint, put, token_of):
    """If another worker has renewed a refused token already, its token is taken and none is asked for."""
    source.get()
    put(token_of("renewed-elsewhere"))
    assert [source.get(refused="tok-1").value for _ in range(2)] == ["renewed-elsewhere"] * 2
    assert len(mint.asked) == 1


def test_a_refused_token_is_not_served_while_its_renewal_fails(source, mint):
    """A token known to be refused is not used again, even if no other is to be had."""
    source.get()
    mint.fails = unavailable(acted=True)
    with pytest.raises(TokenEndpointUnavailable):
        source.get(refused="tok-1")


def test_every_secret_is_masked(source, put, masked, token_of, clock):
    """Whatever token comes, minted or loaded, it and its refresh token are masked."""
    put(token_of("loaded", refresh_token="r-loaded"))
    source.get()
    clock.forward(7200)
    source.get()
    assert {"loaded", "r-loaded", "tok-1"} <= set(masked)


def test_two_connections_have_two_tokens(worker):
    """One identity's token is never given to another."""
    assert (worker(("i-1",)).get().value, worker(("i-2",)).get().value) == ("tok-1", "tok-2")


def test_one_connections_login_does_not_hold_up_another(worker, database):
    """Leases are by account."""
    anna, bert = worker(("i-1",)), worker(("i-2",))
    with database.lease(anna.account, 0):
        assert bert.get().value == "tok-1"


def test_many_threads_make_one_token_request(opened, seal, clock, mint, at_once):
    """Threads that begin at once share one login, whatever database keeps the token."""
    source = TokenSource(TokenCache(opened(), seal, now=clock), IDENTITIES, "anna", mint.grant, "c1", "B")
    assert {token.value for token in at_once(8, source.get)} == {"tok-1"}
    assert len(mint.asked) == 1


def test_processes_share_one_token(opened, seal, clock, mint, at_once):
    """So do processes: one login, one renewal ahead, one after a refusal."""
    caches = [TokenCache(opened(), seal, now=clock, beside=Beside()) for _ in range(3)]
    fleet = [TokenSource(cache, IDENTITIES, "anna", mint.grant, "c1", "B") for cache in caches]
    sources = iter(fleet)
    assert {token.value for token in at_once(3, lambda: next(sources).get())} == {"tok-1"}
    clock.forward(3400)
    assert [source.get().value for _ in range(2) for source in fleet] == ["tok-1"] * 3 + ["tok-2"] * 3
    assert [source.get(refused="tok-2").value for source in fleet] == ["tok-3"] * 3
    assert len(mint.asked) == 3


# Refresh tokens


@pytest.fixture
def rotating(mint):
    """A bank whose refresh tokens are for one use."""
    mint.rotates = True
    return mint


@pytest.fixture
def stored(worker):
    """What the next worker would find."""
    return lambda: worker().cache.store.load(IDENTITIES)


def test_a_refresh_token_serves_before_the_credentials(rotating, worker, clock):
    """Also after the access token's end, and by another worker than the one that got it."""
    worker().get()
    clock.forward(7200)
    assert worker().get().value == "tok-2"
    clock.forward(7200)
    worker().get()
    assert rotating.asked == [None, "r-1", "r-2"]


@pytest.mark.parametrize(("left", "used"), [(1, "r-0"), (0, None)])
def test_a_refresh_token_at_its_end_is_not_sent(rotating, source, put, token_of, clock, left, used):
    """Where the bank told how long it lives, the credentials serve after that."""
    put(token_of(refresh_token="r-0", refresh_expires_at=clock() + timedelta(days=2)))
    clock.forward(2 * 86400 - left)
    source.get()
    assert rotating.asked == [used]


def test_a_refresh_token_is_gone_before_the_bank_sees_it(rotating, source, stored, clock):
    """Whoever looks while the bank is asked finds the access token, and no refresh token to use a second time."""
    source.get()
    clock.forward(3400)
    seen = []
    rotating.meanwhile = lambda: seen.append(stored())
    source.get()
    assert rotating.asked == [None, "r-1"]
    assert [(token.value, token.refresh_token, token.refresh_expires_at) for token in seen] == [("tok-1", None, None)]
    rotating.meanwhile = lambda: None
    assert stored().refresh_token == "r-2"


NOT_ACTED = {
    "no connection": unavailable(acted=False),
    "429": throttled(),
    "TLS": CertificateError(conn_id="c1", field="host", reason="not trusted", advice="check it"),
}


@pytest.mark.parametrize("error", NOT_ACTED.values(), ids=NOT_ACTED)
def test_a_refresh_token_the_bank_did_not_use_is_put_back(rotating, worker, stored, clock, error):
    """Where the bank surely did nothing, the next worker refreshes by the same token, and logs in by no password."""
    worker().get()
    clock.forward(3600)
    rotating.fails = error
    with pytest.raises(type(error)):
        worker().get()
    assert (stored().refresh_token, stored().value) == ("r-1", "tok-1")
    rotating.fails = None
    clock.forward(60)
    worker().get()
    assert rotating.asked == [None, "r-1", "r-1"]


@pytest.mark.parametrize("error", [unavailable(acted=True), Died()], ids=["no answer", "killed"])
def test_a_refresh_token_the_bank_may_have_used_is_not_sent_again(rotating, worker, stored, clock, error):
    """After no answer, or a death amid the request, the next worker logs in: to use it twice revokes the family."""
    worker().get()
    clock.forward(3600)
    rotating.fails = error
    with pytest.raises(type(error)):
        worker().get()
    assert stored().refresh_token is None
    rotating.fails = None
    clock.forward(60)
    assert worker().get().value == "tok-3"
    assert rotating.asked == [None, "r-1", None]


def test_to_die_amid_a_refresh_leaves_the_access_token(rotating, worker, clock):
    """While it lives, the others go on with it."""
    worker().get()
    clock.forward(3400)
    rotating.fails = Died()
    with pytest.raises(Died):
        worker().get()
    rotating.fails = None
    assert worker().get().value == "tok-1"


@pytest.mark.parametrize("error", [REFUSED, UNEXPECTED], ids=["refused", "unexpected"])
def test_a_refresh_token_that_is_of_no_use_ends_in_one_login(rotating, source, stored, clock, caplog, error):
    """The credentials themselves are still to be tried, at once; the next refresh is by the new refresh token."""
    source.get()
    clock.forward(3600)
    rotating.refresh_fails = error
    with caplog.at_level(logging.INFO):
        assert source.get().value == "tok-3"
    assert rotating.asked == [None, "r-1", None]
    assert stored().refresh_token == "r-3"
    assert "r-1" not in caplog.text
    assert source.cache.failures.last(IDENTITIES) is None


@pytest.mark.parametrize("error", [FINAL["locked"], FINAL["expired"]], ids=["locked", "expired"])
def test_a_refresh_that_tells_the_account_is_closed_is_no_reason_to_log_in(rotating, worker, clock, error):
    """Nor for the next worker."""
    worker().get()
    clock.forward(3600)
    rotating.refresh_fails = error
    for _ in range(2):
        with pytest.raises(type(error)):
            worker().get()
    assert rotating.asked == [None, "r-1"]


def test_a_token_of_another_kind_needs_no_refresh_token(source, put, token_of, clock, mint):
    """A bank without refresh tokens is asked with the credentials, whatever lies in the database."""
    put(token_of(refresh_token="r-1"))
    clock.forward(3600)
    source.get()
    assert mint.asked == [None]


# A lease that was lost


@pytest.mark.parametrize("rotates", [False, True], ids=["login", "refresh"])
def test_who_lost_the_lease_takes_the_quickers_token(mint, worker, put, stored, token_of, clock, rotates):
    """What another worker saved meanwhile stays; the slower one's own token is not kept, and it has the other."""
    mint.rotates = rotates
    slow = worker()
    slow.get()
    clock.forward(3600)
    mint.meanwhile = lambda: put(token_of("the-quickers", at=clock()))
    assert slow.get().value == "the-quickers"
    assert slow.get().value == "the-quickers"
    assert stored().value == "the-quickers"


def test_who_lost_the_lease_before_the_refresh_does_not_refresh(rotating, worker, put, token_of, clock, monkeypatch):
    """A refresh token that another worker has taken meanwhile is not sent."""
    slow = worker()
    slow.get()
    clock.forward(3600)
    last = slow.cache.failures.last

    def others_are_quicker(identities):
        put(token_of("the-quickers", at=clock()))
        return last(identities)

    monkeypatch.setattr(slow.cache.failures, "last", others_are_quicker)
    with pytest.raises(StoreUnavailable, match="'c1'") as lost:
        slow.get()
    assert lost.value.remedy == "retry"
    assert rotating.asked == [None]
    monkeypatch.undo()
    assert slow.get().value == "the-quickers"


def test_where_the_quickers_token_is_of_no_use_it_is_tried_again(mint, worker, put, token_of, clock):
    """Neither token is handed out: the lost one is nobody's, the other one is spent."""
    slow = worker()
    slow.get()
    clock.forward(3600)
    mint.meanwhile = lambda: put(token_of("spent-already", at=clock() - timedelta(hours=1)))
    with pytest.raises(StoreUnavailable) as lost:
        slow.get()
    assert lost.value.remedy == "retry"


# What the bank said no to


def fails(source, error: AuthError) -> AuthError:
    with pytest.raises(type(error)) as raised:
        source.get()
    return raised.value


def test_those_who_waited_share_the_failure(worker, mint, database, clock):
    """Who queued for the lease while the login failed gets the same error, and makes no request of its own."""
    mint.fails = unavailable(acted=True)
    waiting = [worker() for _ in range(3)]

    def first_one_fails() -> None:
        database.meanwhile = lambda: None
        clock.forward(1)
        fails(worker(), mint.fails)
        clock.forward(1)

    for source in waiting:
        database.meanwhile = first_one_fails
        began = len(mint.asked)
        assert str(fails(source, mint.fails)) == str(mint.fails)
        assert len(mint.asked) - began == 1
        clock.forward(1)


def test_who_comes_after_an_outage_asks_again(worker, mint, clock):
    """A failure without a time of the bank's own is no reason to wait for the next worker."""
    mint.fails = unavailable(acted=True)
    fails(worker(), mint.fails)
    clock.forward(0.001)
    mint.fails = None
    assert worker().get().value == "tok-2"


def test_those_who_waited_share_an_answer_that_nobody_understands(worker, mint, database, clock):
    """A token endpoint that answers nonsense is not asked by the whole queue, one after the other."""
    mint.fails = UNEXPECTED

    def first_one_fails() -> None:
        database.meanwhile = lambda: None
        fails(worker(), UNEXPECTED)
        clock.forward(1)

    database.meanwhile = first_one_fails
    fails(worker(), UNEXPECTED)
    assert len(mint.asked) == 1


@pytest.mark.parametrize("error", FINAL.values(), ids=FINAL)
def test_after_a_final_refusal_nobody_asks_until_a_person_says_so(worker, mint, clock, error):
    """Not an hour later, not a month later, not another worker; then one try, and no second."""
    mint.fails = error
    assert fails(worker(), error) is error
    for seconds in (1, 3600, 30 * 86400):
        clock.forward(seconds)
        held = fails(worker(), error)
        assert "unlock c1" in str(held)
    assert len(mint.asked) == 1
    assert worker().allow_one_try() is True
    for _ in range(3):
        fails(worker(), error)
    assert len(mint.asked) == 2
    assert worker().allow_one_try() is True
    assert worker().allow_one_try() is False
    mint.fails = None
    assert worker().get().value == "tok-3"


def test_of_many_that_wait_for_an_unlocked_login_one_tries(opened, seal, clock, mint, at_once):
    """The password is still wrong: one more refusal, however many workers were waiting for the unlocking."""
    mint.fails = REFUSED
    source = TokenSource(TokenCache(opened(), seal, now=clock), IDENTITIES, "anna", mint.grant, "c1", "B")
    fails(source, REFUSED)
    source.allow_one_try()
    outcomes = at_once(6, source.get)
    assert {type(error) for error in outcomes} == {CredentialsRefused}
    assert len(mint.asked) == 2


def test_a_refused_address_stops_this_machine_only(worker, mint, clock, monkeypatch):
    """A worker on another machine, which may be on the bank's list, asks; this one's do after a while."""
    mint.fails = address_refused(clock() + timedelta(minutes=10))
    fails(worker(), mint.fails)
    for _ in range(9):
        clock.forward(60)
        assert "unlock c1" in str(fails(worker(), mint.fails))
    assert len(mint.asked) == 1
    mint.fails = None
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "elsewhere")
        assert worker(conn_id="c2").get().value == "tok-2"


def test_a_refused_address_is_tried_again_in_the_end(worker, mint, clock):
    """Lists are changed at the bank's, and nobody tells: one worker asks after a pause, or when a person says so."""
    for wait in (600, 0):
        mint.fails = address_refused(clock() + timedelta(minutes=10))
        fails(worker(), mint.fails)
        clock.forward(wait)
        assert worker().allow_one_try() is (wait == 0)
    mint.fails = None
    assert worker().get().value == "tok-3"


def test_a_held_error_names_the_connection_that_asks(worker, mint):
    """Two connections of one user share the refusal, each under its own name."""
    mint.fails = REFUSED
    fails(worker(), REFUSED)
    held = fails(worker(conn_id="c2"), REFUSED)
    assert "'c2'" in str(held)
    assert "unlock c2" in str(held)
    assert len(mint.asked) == 1


def test_the_banks_own_time_is_waited_for(worker, mint, clock):
    """Nobody asks before it, whoever began when, and no person lets them; everybody may from then on."""
    at = clock() + timedelta(seconds=90)
    mint.fails = throttled(at)
    fails(worker(), mint.fails)
    for seconds in (1, 60, 28):
        clock.forward(seconds)
        assert fails(worker(), mint.fails).retry_at == at
        assert worker().allow_one_try() is False
    assert len(mint.asked) == 1
    clock.forward(1)
    mint.fails = None
    assert worker().get().value == "tok-2"


def test_a_login_that_works_ends_the_trouble(worker, mint, clock):
    """What was remembered is forgotten, and does not stop the next renewal."""
    mint.fails = unavailable(acted=True)
    fails(worker(), mint.fails)
    clock.forward(1)
    mint.fails = None
    source = worker()
    source.get()
    assert source.cache.failures.last(IDENTITIES) is None
    assert source.allow_one_try() is False


def test_other_credentials_are_free_to_ask(worker, mint):
    """A corrected password is another identity, and is tried at once."""
    mint.fails = REFUSED
    fails(worker(), REFUSED)
    mint.fails = None
    assert worker(("i-corrected",)).get().value == "tok-2"


def test_a_failure_that_cannot_be_shared_is_raised_all_the_same(source, mint, database, caplog):
    """A database that is gone does not hide what the bank said."""
    mint.fails = REFUSED

    def goes_down() -> None:
        database.down = StoreUnavailable(where="x", reason="gone", advice="wait")

    mint.meanwhile = goes_down
    with caplog.at_level(logging.WARNING):
        assert fails(source, REFUSED) is REFUSED
    assert "could not be shared" in caplog.text


def test_a_held_refusal_of_another_login_is_not_news(source, mint, clock):
    """A second factor that needs a login which is held remembers nothing of its own: to unlock the login is enough."""
    mint.fails = CredentialsRefused(**NAMED, code="x", fields_to_check="y")
    mint.fails.held_since = clock()
    fails(source, mint.fails)
    assert source.cache.failures.last(IDENTITIES) is None


# Sealed and handed on


def test_a_sealed_token_has_no_refresh_token(source, put, seal, token_of):
    """What goes into XCom is the access token alone."""
    put(token_of("t", refresh_token="r-1", refresh_expires_at=token_of().expires_at))
    opened = seal.open(source.sealed(), IDENTITIES, what="it")
    assert (opened.value, opened.refresh_token, opened.refresh_expires_at) == ("t", None, None)


def test_a_handed_token_is_used_while_it_lives(source, mint, database, seal, token_of, clock, masked):
    """A token from another task is used before the database is asked, masked, and replaced when it is spent."""
    source.hand(seal.seal("i-1", token_of("handed")))
    assert "handed" in masked
    assert source.get().value == "handed"
    assert (database.reads, source.at_hand()) == (0, True)
    clock.forward(3600)
    assert source.get().value == "tok-1"
    assert len(mint.asked) == 1


def test_a_handed_token_that_is_refused_is_dropped(source, seal, token_of):
    """A handed token that the bank refuses is not sent again."""
    source.hand(seal.seal("i-1", token_of("handed")))
    assert source.get(refused="handed").value == "tok-1"
    assert source.get().value == "tok-1"


def test_a_token_sealed_for_another_connection_is_refused(source, seal, token_of):
    """Another connection's token is not taken, and the message names this one."""
    with pytest.raises(SealBroken, match="'c1'"):
        source.hand(seal.seal("i-2", token_of("handed")))


@pytest.mark.parametrize("reads", range(1, 6))
def test_a_handed_token_may_be_dropped_by_another_thread_at_any_moment(source, mint, token_of, reads):
    """While one thread drops the handed token, as refused or spent, another one still gets a token, never None."""

    class Shared(TokenSource):
        """Its handed token is gone after some reads, as if another thread had dropped it."""

        left = reads

        @property
        def handed(self):
            self.left -= 1
            return token_of("handed") if self.left >= 0 else None

        @handed.setter
        def handed(self, token):
            pass

    shared = Shared(source.cache, IDENTITIES, "anna", mint.grant, "c1", "B")
    shared.left = reads
    assert shared.get() is not None


def test_a_token_is_at_hand_while_it_costs_nothing(source, clock):
    """Before the first login, and after the token's end, `get` may take its time; in between it does not."""
    assert source.at_hand() is False
    source.get()
    assert source.at_hand() is True
    clock.forward(3400)
    assert source.at_hand() is True
    clock.forward(200)
    assert source.at_hand() is False


# Whatever happens


@dataclass
class StrictBank:
    """A bank in one of MOODS that remembers what it gave, which refresh tokens were used, and until when it said no.

    `wrongs` is what was done to it that must not be.
    """

    clock: Callable[[], datetime]
    token_of: Callable[..., Token]
    mood: str = "gives"
    given: dict[str, Token] = field(default_factory=dict)
    used: set[str | None] = field(default_factory=set)
    closed_until: datetime | None = None
    wrongs: list[str] = field(default_factory=list)

    @property
    def grant(self) -> Grant:
        return Grant(lambda: self._asked(None), lambda previous: self._asked(previous.refresh_token))

    def _asked(self, refresh_token: str | None) -> Token:
        now = self.clock()
        if self.closed_until and now < self.closed_until:
            self.wrongs.append("asked although it had said no")
        if refresh_token in self.used:
            self.wrongs.append("a refresh token came twice")
        if self.mood == "is away":
            raise unavailable(acted=False)
        if self.mood == "has no time":
            self.closed_until = now + timedelta(seconds=90)
            raise throttled(self.closed_until)
        self.used |= {refresh_token} - {None}
        if self.mood == "refuses" and refresh_token:
            raise REFUSED
        if self.mood in ("refuses", "locks"):
            self.closed_until = now + timedelta(days=1000)
            raise REFUSED if self.mood == "refuses" else FINAL["locked"]
        number = len(self.given)
        token = self.token_of(f"tok-{number}", now, 600, 60, refresh_token=f"r-{number}")
        self.given[token.value] = token
        if self.mood == "kills":
            raise Died
        if self.mood == "goes silent":
            raise unavailable(acted=True)
        return token


MOODS = ["gives", "is away", "has no time", "goes silent", "refuses", "locks", "kills"]
WORKERS = st.integers(0, 2)
EVENTS = st.one_of(
    st.tuples(st.sampled_from(["get", "get, the last one was refused", "unlock", "restart"]), WORKERS),
    st.tuples(st.just("later"), st.sampled_from([0.5, 5, 45, 89, 300, 541, 700])),
    st.tuples(st.just("bank"), st.sampled_from(MOODS)),
)


@pytest.fixture(scope="module")
def fleet_of(seal, token_of, new_clock):
    """Begin anew: a clock, a bank, and a function that starts a worker over one empty database."""
    database = MemoryDatabase()

    def begin():
        with database.begin() as connection:
            for table in METADATA.tables.values():
                connection.execute(sa.delete(table))
        clock = new_clock()
        bank = StrictBank(clock, token_of)

        def start() -> TokenSource:
            cache = TokenCache(database, seal, now=clock, beside=Beside())
            return TokenSource(cache, IDENTITIES, "anna", bank.grant, "c1", "B")

        return clock, bank, start

    return begin


@given(events=st.lists(EVENTS, min_size=5, max_size=25))
def test_no_run_of_events_makes_the_fleet_do_harm(fleet_of, events):
    """Workers that come, go and die, a bank in any mood: a refresh token is sent once, a no is a no, a token lives."""
    clock, bank, start = fleet_of()
    fleet, had = [start() for _ in range(3)], ["", "", ""]
    for event, what in events:
        if event == "later":
            clock.forward(what)
        elif event == "bank":
            bank.mood = what
        elif event == "restart":
            fleet[what] = start()
        elif event == "unlock":
            fleet[what].allow_one_try()
            bank.closed_until = None
        else:
            refused = "" if event == "get" else had[what]
            try:
                token = fleet[what].get(refused)
            except AuthError:
                continue
            except Died:
                fleet[what] = start()
                continue
            had[what] = token.value
            assert token.value != refused
            assert clock() < bank.given[token.value].spent_at
    assert bank.wrongs == []


@given(calls=st.lists(st.tuples(WORKERS, st.floats(0, 500)), min_size=1, max_size=20))
def test_however_calls_fall_a_token_is_asked_for_once_a_life(fleet_of, calls):
    """By one worker of the fleet, and none before the token that it has wants to be renewed."""
    clock, bank, start = fleet_of()
    fleet = [start() for _ in range(3)]
    for number, seconds in calls:
        clock.forward(seconds)
        fleet[number].get()
    tokens = list(bank.given.values())
    assert all(one.renew_at <= next_one.issued_at for one, next_one in pairwise(tokens))
    assert bank.wrongs == []
