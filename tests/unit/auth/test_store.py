import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from nostro.auth.seal import Seal
from nostro.auth.store import NoStore, SqliteStore
from nostro.errors import NostroError, SealBroken, SettingError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sub" / "nostro.db"


@pytest.fixture
def open_store(path):
    """A process's store with a ring of keys, and the identities that `who` has under it."""

    def make(*ring: str, who: str = "anna"):
        seal = Seal(ring)
        return SqliteStore(f"sqlite:///{path}", seal), seal.identities([who], ["secret"])

    return make


def test_what_is_saved_is_found_by_another_process(open_store, keys, token_of):
    """The next process has the token that this one saved, refresh token and notes included."""
    store, anna = open_store(keys[0])
    token = token_of(refresh_token="r-1", notes={"second_factor": "yes"})
    store.save(anna, token, replaces=0)
    found = open_store(keys[0])[0].load(anna)
    assert replace(found, generation=0) == token
    assert found.generation == 1


def test_nothing_is_found_for_somebody_else(open_store, keys, token_of):
    """A token is found by its own identity only."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    assert open_store(keys[0], who="bert")[0].load(open_store(keys[0], who="bert")[1]) is None


def test_each_token_is_one_generation_more(open_store, keys, token_of):
    """A save names the generation that it replaces, and makes the next."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of("tok-1"), replaces=0)
    store.save(anna, token_of("tok-2"), replaces=1)
    assert (store.load(anna).value, store.load(anna).generation) == ("tok-2", 2)


def test_who_was_slower_gets_the_quickers_token(open_store, keys, token_of):
    """Two that minted at once end with one token: the first one saved is kept, and given to both."""
    store, anna = open_store(keys[0])
    other, _ = open_store(keys[0])
    assert store.save(anna, token_of("quick"), replaces=0).value == "quick"
    assert other.save(anna, token_of("slow"), replaces=0).value == "quick"
    assert store.save(anna, token_of("quick-2"), replaces=1).value == "quick-2"
    assert other.save(anna, token_of("slow-2"), replaces=1).value == "quick-2"
    assert store.load(anna).value == "quick-2"


def test_the_file_holds_ciphertext_only(open_store, keys, token_of, path):
    """Neither token, refresh token nor who it belongs to can be read in the file, or beside it."""
    store, _ = open_store(keys[0])
    _, anna = open_store(keys[0], who="anna-the-user")
    store.save(anna, token_of("value-1", refresh_token="refresh-1"), replaces=0)
    held = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    assert not [word for word in (b"value-1", b"refresh-1", b"anna-the-user", keys[0].encode()) if word in held]


def test_the_file_is_its_owners(open_store, keys, token_of, path):
    """The file is readable by its owner only, from its first moment."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_process_with_foreign_keys_is_refused(open_store, keys, token_of):
    """A process whose keys do not fit the store's check value is refused clearly, and changes nothing."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    foreign, bert = open_store(keys[1])
    for _ in range(2):
        with pytest.raises(SealBroken, match="seal_keys"):
            foreign.load(bert)
        with pytest.raises(SealBroken):
            foreign.save(bert, token_of("intruder"), replaces=0)
    assert open_store(keys[0])[0].load(anna).value == "tok-1"


def test_a_new_key_in_front_keeps_the_token(open_store, keys, token_of):
    """Rotating the keys costs no login: under the new ring the old key's token is found and opened."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    rotated, anna_now = open_store(keys[1], keys[0])
    assert rotated.load(anna_now).value == "tok-1"


def test_the_old_key_can_leave_later(open_store, keys, token_of):
    """Once the token was renewed under the new ring, the old key is needed no more, for token or store."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    rotated, anna_now = open_store(keys[1], keys[0])
    rotated.save(anna_now, token_of("tok-2"), replaces=rotated.load(anna_now).generation)
    later, anna_later = open_store(keys[1])
    assert (later.load(anna_later).value, later.load(anna_later).generation) == ("tok-2", 2)
    with pytest.raises(SealBroken):
        open_store(keys[0])[0].load(anna)


def test_the_old_key_may_leave_before_the_token_was_renewed(open_store, keys, token_of):
    """If the old key leaves at once, its tokens are not found, and one login heals it."""
    store, anna = open_store(keys[0])
    store.save(anna, token_of(), replaces=0)
    rotated, anna_now = open_store(keys[1], keys[0])
    rotated.load(anna_now)
    later, anna_later = open_store(keys[1])
    assert later.load(anna_later) is None
    assert later.save(anna_later, token_of("tok-2"), replaces=0).value == "tok-2"


def test_workers_with_the_old_ring_and_the_new_do_not_collide(open_store, keys, token_of):
    """While keys are rotated worker by worker, a token saved under each ring does not make a later save fail."""
    old, anna = open_store(keys[0])
    assert old.load(anna) is None  # a worker that runs on while the others get the new key
    new, anna_now = open_store(keys[1], keys[0])
    new.save(anna_now, token_of("by-new"), replaces=0)
    old.save(anna, token_of("by-old"), replaces=0)
    kept = new.load(anna_now)
    assert new.save(anna_now, token_of("by-new-2"), replaces=kept.generation).value == "by-new-2"
    assert new.load(anna_now).value == "by-new-2"


def test_a_row_laid_in_anothers_place_opens_for_nobody(open_store, keys, token_of, path):
    """Who can write the file but not open seals cannot give one connection another one's token."""
    store, anna = open_store(keys[0])
    _, bert = open_store(keys[0], who="bert")
    store.save(anna, token_of("anna's"), replaces=0)
    store.save(bert, token_of("bert's"), replaces=0)
    with closing(sqlite3.connect(path)) as connection, connection:
        (sealed,) = connection.execute("SELECT sealed FROM nostro_token WHERE identity = ?", bert).fetchone()
        connection.execute("UPDATE nostro_token SET sealed = ? WHERE identity = ?", (sealed, *anna))
    with pytest.raises(SealBroken):
        store.load(anna)


def test_tokens_that_nobody_renews_are_forgotten(open_store, keys, token_of, path):
    """A row untouched for longer than any refresh token lives goes with the next save."""
    store, anna = open_store(keys[0])
    _, bert = open_store(keys[0], who="bert")
    store.save(anna, token_of(), replaces=0)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE nostro_token SET updated_at = '2020-01-01 00:00:00.000000'")
    store.save(bert, token_of(), replaces=0)
    assert store.load(anna) is None
    assert store.load(bert) is not None


def test_one_lease_for_all_processes_of_the_file(open_store, keys):
    """Two processes' stores of one file share their leases."""
    (store, anna), (other, _) = open_store(keys[0]), open_store(keys[0])
    with store.lease(anna[0], 0) as first, other.lease(anna[0], 0) as second:
        assert (first, second) == (True, False)


@pytest.mark.parametrize(
    "url",
    [
        *("", "nonsense", "sqlite://", "sqlite:///:memory:", "postgresql://anna:hush@db/nostro", "nodialect://x"),
        *("mysql://anna:hush@db/nostro", "sqlite+foo:////tmp/nostro-x.db", "sqlite+aiosqlite:////tmp/nostro-x.db"),
    ],
)
def test_a_store_that_is_no_sqlite_file_is_refused(seal, url):
    """Any other URL is refused by a sentence that names the setting and quotes no password."""
    with pytest.raises(SettingError) as refused:
        SqliteStore(url, seal).load(["i"])
    assert refused.value.fields["field"] == "store"
    assert "hush" not in str(refused.value)


def test_a_path_that_cannot_be_written_is_refused(seal, tmp_path):
    """A directory, or a place below a file, is a clear error and no traceback of SQLAlchemy's."""
    (tmp_path / "file").write_text("")
    for bad in (tmp_path, tmp_path / "file" / "nostro.db"):
        with pytest.raises(SettingError, match="cannot be opened"):
            SqliteStore(f"sqlite:///{bad}", seal).load(["i"])


def test_a_file_that_is_no_database_is_refused(seal, tmp_path):
    """A file of something else is a clear error too, and is left as it is."""
    (tmp_path / "nostro.db").write_bytes(b"not a database" * 100)
    with pytest.raises(NostroError):
        SqliteStore(f"sqlite:///{tmp_path / 'nostro.db'}", seal).load(["i"])
    assert (tmp_path / "nostro.db").read_bytes() == b"not a database" * 100


def test_no_store_keeps_nothing(token_of):
    """Without a store nothing is shared: a save gives the token back, a load has none, the lease is this process's."""
    store = NoStore()
    token = token_of()
    assert store.save(["i"], token, replaces=0) is token
    assert store.load(["i"]) is None
    with store.lease("no-store", 0) as first, store.lease("no-store", 0) as second:
        assert (first, second) == (True, False)
