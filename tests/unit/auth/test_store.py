"""Where tokens are kept: the same in memory, in SQLite and in PostgreSQL."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from nostro.auth.seal import Seal
from nostro.auth.store import TokenStore
from nostro.database import open_database
from nostro.database.schema import SEAL, TOKEN
from nostro.errors import SealBroken


@pytest.fixture
def open_store(opened, clock):
    """A process's store with a ring of keys, and the identities that `who` has under it."""

    def make(*ring: str, who: str = "anna"):
        seal = Seal(ring)
        return TokenStore(opened(), seal, clock), seal.identities([who], ["secret"])

    return make


def rows(opened) -> list:
    with opened().begin() as connection:
        return list(connection.execute(sa.select(TOKEN)))


def test_what_is_saved_is_found_by_another_process(open_store, keys, token_of):
    """The next process has the token that this one saved, refresh token and notes included."""
    store, anna = open_store(keys[0])
    token = token_of(refresh_token="r-1", notes={"second_factor": "yes"})
    kept = store.save(anna, token, replaces=0)
    found = open_store(keys[0])[0].load(anna)
    assert found == kept == replace(token, generation=1)


def test_nothing_is_found_for_somebody_else(open_store, keys, token_of):
    """A token is found by its own identity only."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    other, bert = open_store(keys[0], who="bert")
    assert other.load(bert) is None


def test_each_token_is_one_generation_more(open_store, keys, token_of):
    """A save names the generation that it replaces, and makes the next; one row stays."""
    store, anna = open_store(keys[0])
    assert store.save(anna, token_of("tok-1"), replaces=0).generation == 1
    assert store.save(anna, token_of("tok-2"), replaces=1).generation == 2
    assert (store.load(anna).value, store.load(anna).generation) == ("tok-2", 2)


def test_who_was_slower_is_told(open_store, opened, keys, token_of):
    """Of two that would replace the same generation the first one's token is kept, and the second knows."""
    store, anna = open_store(keys[0])
    other, _ = open_store(keys[0])
    assert store.save(anna, token_of("quick"), replaces=0) is not None
    assert other.save(anna, token_of("slow"), replaces=0) is None
    assert store.save(anna, token_of("quick-2"), replaces=1) is not None
    assert other.save(anna, token_of("slow-2"), replaces=1) is None
    assert other.save(anna, token_of("never"), replaces=7) is None
    assert other.load(anna).value == "quick-2"
    assert len(rows(opened)) == 1


@pytest.mark.parametrize("replaces", [0, 1])
def test_of_savers_at_once_one_wins(open_store, at_once, keys, token_of, replaces):
    """However many save at the same moment, one of them is told that its token is kept, and it is."""
    first, anna = open_store(keys[0])
    if replaces:
        first.save(anna, token_of("old"), replaces=0)
    names = itertools.count()

    def work() -> str | None:
        store, name = open_store(keys[0])[0], f"tok-{next(names)}"
        return name if store.save(anna, token_of(name), replaces=replaces) else None

    assert [name for name in at_once(4, work) if name] == [first.load(anna).value]


def test_what_is_kept_is_ciphertext_only(open_store, opened, keys, token_of):
    """Neither token, refresh token, key nor who it belongs to can be read in the database."""
    store, _ = open_store(keys[0])
    _, anna = open_store(keys[0], who="anna-the-user")
    store.save(anna, token_of("value-1", refresh_token="refresh-1"), replaces=0)
    with opened().begin() as connection:
        held = repr([list(connection.execute(sa.select(table))) for table in (TOKEN, SEAL)])
    assert not [word for word in ("value-1", "refresh-1", "anna-the-user", keys[0]) if word in held]


def test_a_file_holds_ciphertext_only(tmp_path, keys, token_of):
    """Nor in the file's bytes, or in what SQLite lays beside it."""
    seal = Seal(keys)
    store = TokenStore(open_database(f"sqlite:///{tmp_path / 'nostro.db'}"), seal)
    store.save(seal.identities(["anna-the-user"], []), token_of("value-1", refresh_token="refresh-1"), replaces=0)
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"nostro_token" in held
    assert not [word for word in (b"value-1", b"refresh-1", b"anna-the-user", keys[0].encode()) if word in held]


def test_a_process_with_foreign_keys_is_refused(open_store, keys, token_of):
    """A process whose keys do not fit the database's check value is refused clearly, and changes nothing."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    foreign, bert = open_store(keys[1])
    for _ in range(2):
        with pytest.raises(SealBroken, match="seal_keys"):
            foreign.load(bert)
        with pytest.raises(SealBroken, match="seal_keys"):
            foreign.save(bert, token_of("intruder"), replaces=0)
    assert open_store(keys[0])[0].load(anna).value == "tok-1"


def test_a_foreign_process_is_refused_before_it_logs_in(open_store, keys):
    """The very first look into an empty store already tells: no login is spent on a token that could not be kept."""
    mine, anna = open_store(keys[0])
    assert mine.load(anna) is None
    foreign, its_anna = open_store(keys[1])
    with pytest.raises(SealBroken):
        foreign.load(its_anna)


@pytest.mark.parametrize("saved", [False, True], ids=["only read", "saved"])
def test_keys_are_changed_without_a_login(open_store, keys, token_of, saved):
    """From old over old,new and new,old to new: whatever happens at each step, the token is there in the end."""
    old, new = keys[:2]
    store, anna = open_store(old)
    store.save(anna, token_of(refresh_token="r-1"), replaces=0)
    for ring in ((old, new), (new, old), (new,)):
        for _ in range(2):  # two workers at each step
            store, anna = open_store(*ring)
            found = store.load(anna)
            assert found.refresh_token == "r-1"
            if saved:
                store.save(anna, found, replaces=found.generation)
    assert store.load(anna).generation == (7 if saved else 1)


def test_a_key_that_was_only_read_under_may_leave(open_store, keys, token_of):
    """Tokens that outlived the change of keys are renewed under the new key alone."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    rotated, anna_now = open_store(keys[1], keys[0])
    rotated.load(anna_now)
    later, anna_later = open_store(keys[1])
    kept = later.load(anna_later)
    assert later.save(anna_later, token_of("tok-2"), replaces=kept.generation).generation == 2


def test_what_is_loaded_under_an_older_key_is_sealed_again(open_store, opened, keys, token_of):
    """By the first who finds it, so that the older key can leave the ring; one row, the same generation."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    rotated, anna_now = open_store(keys[1], keys[0])
    assert rotated.load(anna_now).generation == 1
    ((identity, generation, sealed, _),) = rows(opened)
    assert (identity, generation) == (anna_now[0], 1)
    assert Seal(keys[1:2]).open(sealed, [identity], what="it").value == "tok-1"
    assert rotated.load(anna_now).generation == 1


def test_the_old_key_can_leave_later(open_store, keys, token_of):
    """Once a token was saved under the new ring, the old key is needed no more, and serves no more."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    rotated, anna_now = open_store(keys[1], keys[0])
    rotated.save(anna_now, token_of("tok-2"), replaces=rotated.load(anna_now).generation)
    later, anna_later = open_store(keys[1])
    assert (later.load(anna_later).value, later.load(anna_later).generation) == ("tok-2", 2)
    with pytest.raises(SealBroken):
        open_store(keys[0])[0].load(anna)


def test_a_worker_with_the_old_ring_alone_does_not_collide(open_store, keys, token_of):
    """While keys are changed worker by worker, a token saved under each ring does not make a later save fail."""
    old, anna = open_store(keys[0])
    assert old.load(anna) is None  # a worker that runs on while the others get the new key
    new, anna_now = open_store(keys[1], keys[0])
    new.save(anna_now, token_of("by-new"), replaces=0)
    old.save(anna, token_of("by-old"), replaces=0)
    assert new.save(anna_now, token_of("by-new-2"), replaces=1).value == "by-new-2"
    assert new.load(anna_now).value == "by-new-2"


def test_of_two_tokens_under_two_keys_the_newer_stays(open_store, opened, clock, keys, token_of):
    """Who finds a newer token under the old key, beside one under the new key, has it, and so has the next."""
    old, anna = open_store(keys[0])
    assert old.load(anna) is None
    new, anna_now = open_store(keys[1], keys[0])
    new.save(anna_now, token_of("by-new"), replaces=0)
    clock.forward(1)
    old.save(anna, token_of("by-old"), replaces=0)
    assert [new.load(anna_now).value for _ in range(2)] == ["by-old"] * 2
    assert [row.identity for row in rows(opened)] == [anna_now[0]]
    assert new.save(anna_now, token_of("by-new-2"), replaces=1).value == "by-new-2"


def test_to_seal_again_takes_nothing_from_a_newer_token(open_store, clock, keys, token_of):
    """What another worker saves in that very moment under the new key stays."""
    old, anna = open_store(keys[0])
    old.save(anna, token_of("by-old"), replaces=0)
    slow, anna_now = open_store(keys[1], keys[0])

    class SlowSeal(Seal):
        def open(self, *args, **more):
            clock.forward(1)
            open_store(*keys[1::-1])[0].save(anna_now, token_of("newer"), replaces=0)
            return super().open(*args, **more)

    slow.seal = SlowSeal(keys[1::-1])
    assert slow.load(anna_now).value == "by-old"
    assert open_store(*keys[1::-1])[0].load(anna_now).value == "newer"


def test_a_row_laid_in_anothers_place_opens_for_nobody(open_store, opened, keys, token_of):
    """Who can write the database but not open seals cannot give one connection another one's token."""
    store, anna = open_store(keys[0])
    _, bert = open_store(keys[0], who="bert")
    store.save(anna, token_of("anna's"), replaces=0)
    store.save(bert, token_of("bert's"), replaces=0)
    theirs = next(row.sealed for row in rows(opened) if row.identity == bert[0])
    with opened().begin() as connection:
        connection.execute(sa.update(TOKEN).where(TOKEN.c.identity == anna[0]).values(sealed=theirs))
    with pytest.raises(SealBroken, match="another connection"):
        store.load(anna)


def test_tokens_that_nobody_renews_are_forgotten(open_store, clock, keys, token_of):
    """A row untouched for a month goes with the next save of any other; one that is renewed stays."""
    store, anna = open_store(keys[0])
    _, bert = open_store(keys[0], who="bert")
    store.save(anna, token_of(), replaces=0)
    clock.forward(timedelta(days=29).total_seconds())
    store.save(bert, token_of(), replaces=0)
    assert store.load(anna) is not None
    clock.forward(timedelta(days=1, seconds=1).total_seconds())
    store.save(bert, token_of(), replaces=1)
    assert store.load(anna) is None
    assert store.load(bert).generation == 2
