"""A process that has used hooks forks: its children work, and it goes on working."""

import threading

import pytest
from airflow.sdk import BaseHook
from workers import Worker, attempt, outcome_of, read, token, wait_until

from nostro.hooks import tokens

CHILDREN = 4
FORKS = 60


def used(hook) -> str:
    """The token that a call was made with."""
    with hook.get_conn() as client:
        read(hook, client)
    value: str = hook.get_token().value
    return value


@pytest.mark.parametrize("bank", ["m2p", "banking_circle"])
def test_a_used_hook_works_in_children_and_goes_on_in_the_parent(bank, store, set_connection, sandbox):
    """The very same hook, with a client open over the forks: one token for all."""
    conn_id = set_connection(bank)

    def parent() -> list[str]:
        hook = BaseHook.get_hook(conn_id)
        with hook.get_conn() as client:
            found = [hook.get_token().value]
            read(hook, client)
            children = [Worker(lambda: used(hook)) for _ in range(CHILDREN)]
            found += [child.outcome() for child in children]
            read(hook, client)
        return [*found, used(hook)]

    found = outcome_of(parent)
    assert isinstance(found, list), found
    assert len(found) == CHILDREN + 2
    assert len(set(map(repr, found))) == 1, found
    assert sandbox.count(bank, "token_requests") == 1


def test_children_renew_for_the_parent_and_the_parent_for_them(store, set_connection, sandbox):
    """What was revoked after the fork is replaced once, whoever meets it first."""
    conn_id = set_connection("kunacore")

    def parent() -> list[str]:
        hook = BaseHook.get_hook(conn_id)
        old = used(hook)
        sandbox.faults({"kunacore": {"revoke": True}})
        found = [used(hook), *[Worker(lambda: used(hook)).outcome() for _ in range(CHILDREN)]]
        sandbox.faults({"kunacore": {"revoke": True}})
        found += [Worker(lambda: used(hook)).outcome(), used(hook)]
        return [old, *found]

    found = outcome_of(parent)
    assert isinstance(found, list), found
    assert len(set(map(repr, found))) == 3, found
    assert sandbox.count("kunacore", "token_requests") == 3


def test_a_fork_in_the_middle_of_a_token_request_disturbs_nobody(store, set_connection, sandbox):
    """A thread of the parent asks the bank while others are forked off: they wait for its token, as anybody would."""
    conn_id = set_connection("m2p")
    sandbox.faults({"m2p": {"delay_token": 2}})

    def parent() -> list[str]:
        hook, found = BaseHook.get_hook(conn_id), []
        asking = threading.Thread(target=lambda: found.append(attempt(lambda: used(hook))))
        asking.start()
        wait_until(lambda: sandbox.count("m2p", "token_requests") == 1, "the parent asks for a token")
        children = [Worker(lambda: used(hook)) for _ in range(CHILDREN)]
        found += [child.outcome() for child in children]
        asking.join()
        return [*found, used(hook)]

    found = outcome_of(parent)
    assert isinstance(found, list), found
    assert len(found) == CHILDREN + 2
    assert len(set(map(repr, found))) == 1, found
    assert sandbox.count("m2p", "token_requests") == 1


def test_forks_while_threads_are_at_the_store_disturb_nobody(store, set_connection, sandbox):
    """No child inherits a lock that a thread of the parent held: one of ours, of Airflow's, or of SQLite's library."""
    conn_id = set_connection("m2p")

    def parent() -> list[str]:
        stop, found = threading.Event(), [token(conn_id)]

        def start_over() -> None:
            while not stop.is_set():
                tokens._token_cache.cache_clear()
                found.append(attempt(lambda: token(conn_id)))

        threads = [threading.Thread(target=start_over) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            children = [Worker(lambda: token(conn_id)) for _ in range(FORKS)]
            found += [child.outcome() for child in children]
        finally:
            stop.set()
        return found

    found = outcome_of(parent)
    assert isinstance(found, list), found
    assert len(found) > FORKS
    assert len(set(map(repr, found))) == 1, set(map(repr, found))
    assert sandbox.count("m2p", "token_requests") == 1
