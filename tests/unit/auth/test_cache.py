import logging
import threading

import pytest

from nostro.auth.cache import WAIT_SECONDS, TokenCache, TokenSource
from nostro.auth.store import NoStore, SqliteStore
from nostro.errors import CredentialsRefused, LeaseTimeout, SealBroken, TokenEndpointUnavailable

IDENTITIES = ("i-1",)


def unavailable() -> TokenEndpointUnavailable:
    return TokenEndpointUnavailable(conn_id="c1", bank="B", host="https://b", reason="status 503", advice="wait")


@pytest.fixture
def masked():
    return []


@pytest.fixture
def cache(memory_store, seal, clock, masked):
    return TokenCache(memory_store, seal, mask=masked.append, now=clock)


@pytest.fixture
def source(cache, mint):
    return TokenSource(cache, IDENTITIES, mint, "c1", "B")


def test_a_fresh_token_costs_nothing(source, mint, memory_store, clock):
    """While a token is fresh, neither bank nor store is asked."""
    source.get()
    loads, leases = memory_store.loads, len(memory_store.leases)
    clock.forward(3000)
    assert {source.get().value for _ in range(100)} == {"tok-1"}
    assert (len(mint.asked), memory_store.loads, len(memory_store.leases)) == (1, loads, leases)


def test_another_process_token_is_taken_from_the_store(source, mint, memory_store, token_of):
    """A process that begins finds the token that another one got, and asks for none."""
    memory_store.rows["i-1"] = token_of("from-the-store")
    assert source.get().value == "from-the-store"
    assert mint.asked == []


def test_a_stale_token_is_renewed_once(source, mint, memory_store, clock):
    """Ahead of its end a token is renewed once, by who has the lease without waiting."""
    source.get()
    clock.forward(3400)
    assert [source.get().value for _ in range(3)] == ["tok-2"] * 3
    assert len(mint.asked) == 2
    assert memory_store.leases[-1] == 0
    assert memory_store.rows["i-1"].value == "tok-2"


def test_a_grant_is_given_the_last_token(source, mint, memory_store, clock, token_of):
    """What a grant is given is the store's last token, so that its refresh token serves, even after its end."""
    assert source.get() is not None
    assert mint.asked == [None]
    memory_store.rows["i-1"] = token_of("spent", refresh_token="r-1", generation=4)
    clock.forward(7200)
    source.get()
    assert mint.asked[-1].refresh_token == "r-1"
    assert memory_store.rows["i-1"].generation == 5


def test_while_one_renews_the_others_go_on(source, mint, memory_store, clock):
    """Who does not get the lease for a stale token uses the stale token, at once."""
    source.get()
    clock.forward(3400)
    memory_store.lease_free = False
    assert source.get().value == "tok-1"
    assert memory_store.leases[-1] == 0
    assert len(mint.asked) == 1


def test_a_failing_renewal_ahead_of_the_end_is_only_logged(source, mint, clock, caplog):
    """A bank that cannot renew yet does not stop work: the token still lives, and a warning is logged."""
    source.get()
    clock.forward(3400)
    mint.fails = unavailable()
    with caplog.at_level(logging.WARNING):
        assert source.get().value == "tok-1"
    assert "'c1'" in caplog.text
    assert "status 503" in caplog.text
    assert "tok-1" not in caplog.text
    mint.fails = None
    clock.forward(60)
    assert source.get().value == "tok-3"


@pytest.mark.parametrize(
    "error", [unavailable(), CredentialsRefused(conn_id="c1", bank="B", code="x", fields_to_check="y")]
)
def test_a_failing_renewal_is_not_tried_with_every_call(source, mint, clock, error):
    """While a renewal fails, calls do not each make a token request: that is what banks lock accounts for."""
    source.get()
    clock.forward(3400)
    mint.fails = error
    for _ in range(20):
        assert source.get().value == "tok-1"
    assert len(mint.asked) - 1 < 5


def test_a_spent_token_is_waited_for(source, mint, memory_store, clock):
    """Without a usable token a worker waits for the lease, and longer than any token request may take."""
    source.get()
    clock.forward(3600)
    assert source.get().value == "tok-2"
    assert memory_store.leases == [WAIT_SECONDS, WAIT_SECONDS]


def test_a_token_in_its_last_seconds_is_not_sent(source, clock):
    """A token that would end on its way is not used any more."""
    token = source.get()
    clock.instant = token.spent_at
    assert clock() < token.expires_at
    assert source.get().value == "tok-2"


def test_a_failing_login_is_raised(source, mint):
    """Without a usable token, what the bank says is what the caller gets."""
    mint.fails = unavailable()
    with pytest.raises(TokenEndpointUnavailable):
        source.get()


def test_waiting_for_another_login_ends(source, mint, memory_store):
    """A worker that waited in vain says for whom, and asks the bank for nothing."""
    memory_store.lease_free = False
    with pytest.raises(LeaseTimeout, match="'c1'") as timeout:
        source.get()
    assert timeout.value.remedy == "retry"
    assert mint.asked == []


def test_what_the_leases_holder_got_is_taken(source, mint, memory_store, token_of):
    """Who waited for the lease looks again first, and takes the token that its holder got."""

    def holder_logs_in() -> None:
        memory_store.rows["i-1"] = token_of("the-holders")

    memory_store.while_waiting = holder_logs_in
    assert source.get().value == "the-holders"
    assert mint.asked == []


def test_a_refused_token_is_renewed(source, mint):
    """A token that the bank refuses is replaced, however fresh it looks."""
    source.get()
    assert source.get(refused="tok-1").value == "tok-2"
    assert source.get(refused="tok-1").value == "tok-2"
    assert source.get().value == "tok-2"
    assert len(mint.asked) == 2


def test_only_the_refused_generation_is_dropped(source, mint, memory_store, token_of):
    """If another worker has renewed a refused token already, its token is taken and none is asked for."""
    source.get()
    memory_store.rows["i-1"] = token_of("renewed-elsewhere", generation=2)
    assert source.get(refused="tok-1").value == "renewed-elsewhere"
    assert source.get(refused="tok-1").value == "renewed-elsewhere"
    assert len(mint.asked) == 1


def test_a_refused_token_is_not_served_while_its_renewal_fails(source, mint):
    """A token known to be refused is not used again, even if no other is to be had."""
    source.get()
    mint.fails = unavailable()
    with pytest.raises(TokenEndpointUnavailable):
        source.get(refused="tok-1")


def test_every_secret_is_masked(source, memory_store, masked, token_of, clock):
    """Whatever token comes, minted or loaded, it and its refresh token are masked first."""
    memory_store.rows["i-1"] = token_of("loaded", refresh_token="r-loaded")
    source.get()
    clock.forward(7200)
    source.get()
    assert {"loaded", "r-loaded", "tok-1"} <= set(masked)


def test_two_connections_have_two_tokens(cache, mint):
    """One identity's token is never given to another."""
    one = TokenSource(cache, ("i-1",), mint, "c1", "B").get()
    two = TokenSource(cache, ("i-2",), mint, "c2", "B").get()
    assert (one.value, two.value) == ("tok-1", "tok-2")


def test_without_a_store_the_process_keeps_its_token(seal, clock, mint):
    """With store = none a process logs in once, and renews from its own memory."""
    source = TokenSource(TokenCache(NoStore(), seal, now=clock), IDENTITIES, mint, "c1", "B")
    assert [source.get().value for _ in range(5)] == ["tok-1"] * 5
    clock.forward(7200)
    assert source.get().value == "tok-2"
    assert mint.asked[1].value == "tok-1"


@pytest.mark.parametrize("kind", ["sqlite", "none"])
def test_many_threads_make_one_token_request(seal, clock, mint, tmp_path, kind):
    """Threads that begin at once share one login, with a store and without."""
    store = SqliteStore(f"sqlite:///{tmp_path / 'nostro.db'}", seal) if kind == "sqlite" else NoStore()
    identities = (f"{tmp_path}",)
    source = TokenSource(TokenCache(store, seal, now=clock), identities, mint, "c1", "B")
    begin, got = threading.Barrier(8), []

    def work() -> None:
        begin.wait(10)
        got.append(source.get().value)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert got == ["tok-1"] * 8
    assert len(mint.asked) == 1


def test_processes_share_one_token_over_the_store(seal, clock, mint, tmp_path, token_of):
    """Two processes' caches over one file make one token request, and the second renewal is the first's too."""
    sources = []
    for _ in range(2):
        store = SqliteStore(f"sqlite:///{tmp_path / 'nostro.db'}", seal)
        sources.append(TokenSource(TokenCache(store, seal, now=clock), IDENTITIES, mint, "c1", "B"))
    assert [source.get().value for source in sources] == ["tok-1", "tok-1"]
    clock.forward(3400)
    assert [source.get().value for source in sources] == ["tok-2", "tok-2"]
    assert sources[0].get(refused="tok-2").value == "tok-3"
    assert sources[1].get(refused="tok-2").value == "tok-3"
    assert len(mint.asked) == 3


def test_a_sealed_token_has_no_refresh_token(source, memory_store, seal, token_of):
    """What goes into XCom is the access token alone."""
    memory_store.rows["i-1"] = token_of("t", refresh_token="r-1", refresh_expires_at=token_of().expires_at)
    opened = seal.open(source.sealed(), IDENTITIES, what="it")
    assert (opened.value, opened.refresh_token, opened.refresh_expires_at) == ("t", None, None)


def test_a_handed_token_is_used_while_it_lives(source, mint, memory_store, seal, token_of, clock, masked):
    """A token from another task is used before the store is asked, masked, and renewed through the store when spent."""
    source.hand(seal.seal("i-1", token_of("handed")))
    assert "handed" in masked
    assert source.get().value == "handed"
    assert memory_store.loads == 0
    clock.forward(3600)
    assert source.get().value == "tok-1"
    assert len(mint.asked) == 1


def test_a_handed_token_that_is_refused_is_dropped(source, seal, token_of):
    """A handed token that the bank refuses is not sent again."""
    source.hand(seal.seal("i-1", token_of("handed")))
    assert source.get(refused="handed").value == "tok-1"


def test_a_token_sealed_for_another_connection_is_refused(source, seal, token_of):
    """Another connection's token is not taken, and the message names this one."""
    with pytest.raises(SealBroken, match="'c1'"):
        source.hand(seal.seal("i-2", token_of("handed")))


@pytest.mark.parametrize("reads", range(1, 6))
def test_a_handed_token_may_be_dropped_by_another_thread_at_any_moment(cache, mint, token_of, reads):
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

    source = Shared(cache, IDENTITIES, mint, "c1", "B")
    source.left = reads
    assert source.get() is not None


def test_a_renewal_that_keeps_failing_is_tried_now_and_then(source, mint, clock):
    """Over the five minutes ahead of the end, with a call each second, a failing renewal is tried again, but seldom."""
    source.get()
    clock.forward(3300)
    mint.fails = unavailable()
    for _ in range(280):
        assert source.get().value == "tok-1"
        clock.forward(1)
    assert 3 <= len(mint.asked) - 1 <= 20
