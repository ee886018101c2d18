"""Failures: one sentence with connection, field and remedy, and no secret; Test connection says the stage.

Every bank in the registry is held to these promises, over real sockets to the sandbox.
"""

import copy
import pickle

import pytest
from airflow.sdk import BaseHook

from nostro.errors import (
    ConfigurationError,
    CredentialsRefused,
    NostroError,
)


def test_refused_credentials_are_one_sentence_without_a_secret(bank, conn_id, set_connection, secrets_of, sandbox):
    set_connection(bank, password="not-the-password-7f3a")
    with pytest.raises(CredentialsRefused) as caught:
        BaseHook.get_hook(conn_id).get_token()
    message = str(caught.value)
    assert conn_id in message
    assert "'password'" in message
    assert caught.value.remedy == "fail"
    assert caught.value.__cause__ is None
    assert "not-the-password-7f3a" not in message + repr(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    assert sandbox.count(bank, "token_requests") == 1


def test_an_unreachable_host_is_one_sentence(bank, case, conn_id, set_connection):
    changes = dict(case.unavailable_host)
    set_connection(bank, **changes)
    with pytest.raises(NostroError) as caught:
        BaseHook.get_hook(conn_id).accounts()
    assert conn_id in str(caught.value)
    assert f"'{case.address_field}'" in str(caught.value)
    assert caught.value.remedy == "retry"


def test_each_missing_field_is_named(bank, case, conn_id, set_connection):
    for name in case.required:
        for empty in (None, "", "   "):
            change = {name: empty} if name in ("host", "login", "password") else {"extra": {name: empty}}
            set_connection(bank, **change)
            with pytest.raises(ConfigurationError) as caught:
                BaseHook.get_hook(conn_id).get_conn()
            assert f"'{conn_id}'" in str(caught.value)
            assert f"'{name}'" in str(caught.value)


def test_no_shared_store_without_a_key(bank, conn_id, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    with pytest.raises(ConfigurationError, match=r"seal_keys.*AIRFLOW__NOSTRO__SEAL_KEYS"):
        BaseHook.get_hook(conn_id).get_token()


def test_without_a_shared_file_airflows_key_does_not_serve(bank, conn_id, monkeypatch):
    """A worker on another machine may hold a private one: `seal_keys` has to be set."""
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", "none")
    with pytest.raises(ConfigurationError, match=r"seal_keys.*AIRFLOW__NOSTRO__SEAL_KEYS"):
        BaseHook.get_hook(conn_id).get_sealed_token()


def test_a_connection_of_another_type_is_refused(bank, hook, set_connection):
    other = "m2p" if bank != "m2p" else "mbanq"
    with pytest.raises(ConfigurationError, match=r"conn_type.*get_hook"):
        type(hook)(set_connection(other)).get_conn()


def test_a_copy_of_a_hook_holds_no_secret(hook, secrets_of, bank):
    """A hook may be pickled, by a task that returns it by mistake: what travels is the connection's name."""
    hook.get_token()
    copied = copy.copy(hook)
    assert copied.conn_id == hook.conn_id
    held = repr(copied.__dict__) + repr(vars(copied))
    assert not [secret for secret in secrets_of(bank) if secret in held]
    assert copied.get_token().value == hook.get_token().value


def test_the_store_holds_ciphertext_only(bank, hook, secrets_of, tmp_path):
    token = hook.get_token().value
    hook.accounts()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "nostro.db" in str(path)]
    stored = b"".join(path.read_bytes() for path in files)
    assert b"gAAAA" in stored
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    for secret in (token, *secrets_of(bank)):
        assert secret.encode() not in stored


def test_test_connection_logs_in_once_and_sends_no_one_time_password(bank, conn_id, hook, sandbox, secrets_of):
    ok, message = hook.test_connection()
    assert ok, message
    assert sandbox.count(bank, "token_requests") == 1
    assert sandbox.count(bank, "one_time_passwords") == 0
    assert not [secret for secret in (*secrets_of(bank), hook.get_token().value) if secret in message]


def test_test_connection_says_which_stage_failed(bank, conn_id, set_connection, sandbox):
    set_connection(bank, password="wrong")
    ok, message = BaseHook.get_hook(conn_id).test_connection()
    assert not ok
    assert message.startswith("Token: ")
    assert sandbox.count(bank, "token_requests") == 1
    set_connection(bank, password="***")
    ok, message = BaseHook.get_hook(conn_id).test_connection()
    assert not ok
    assert message.startswith("Fields: ")
    assert "asterisks" in message


def test_test_connection_sees_a_token_revoked_meanwhile(bank, hook, sandbox, new_process):
    hook.get_token()
    sandbox.faults({bank: {"revoke": True}})
    new_process()
    assert hook.test_connection()[0]
    assert sandbox.count(bank, "token_requests") == 2
