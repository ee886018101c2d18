"""Whose a stored token is: each bank's own fields and secrets, and not the connection's name."""

import pytest

from nostro.auth.cache import TokenCache
from nostro.auth.seal import Seal
from nostro.banks.banking_circle import auth as banking_circle
from nostro.banks.kunacore import auth as kunacore
from nostro.banks.m2p import auth as m2p
from nostro.banks.mangopay import auth as mangopay
from nostro.banks.mbanq import auth as mbanq
from nostro.database import open_database
from nostro.errors import ConfigurationError

BANKS = {
    "mbanq": mbanq,
    "m2p": m2p,
    "mangopay": mangopay,
    "kunacore": kunacore,
    "banking_circle": banking_circle,
}
ANY_BANK = pytest.mark.parametrize("bank", BANKS)
SOMEBODY_ELSE = [
    *((bank, {"host": "https://other.example"}) for bank in BANKS),
    *((bank, {"host": "https://bank.example:8443"}) for bank in BANKS),
    *((bank, {"login": "bert"}) for bank in BANKS),
    *((bank, {"password": "pw-2"}) for bank in BANKS),
    ("mbanq", {"extra": {"tenant_id": "other"}}),
    ("mbanq", {"extra": {"client_id": "other"}}),
    ("mbanq", {"extra": {"client_secret": "other"}}),
    ("m2p", {"extra": {"tenant_id": "other"}}),
    ("kunacore", {"extra": {"merchant_id": "other"}}),
    ("banking_circle", {"extra": {"authorization_url": "https://other.example"}}),
]
NEEDED = [
    *((bank, name) for bank in BANKS for name in ("host", "login", "password")),
    ("mbanq", "tenant_id"),
    ("mbanq", "client_id"),
    ("mbanq", "client_secret"),
    ("m2p", "tenant_id"),
    ("kunacore", "merchant_id"),
    ("banking_circle", "authorization_url"),
    ("banking_circle", "client_certificate_pem"),
    ("banking_circle", "private_key_pem"),
]
NEEDED_IN_MODE = [
    ("mbanq", "signed_jwt", "jwt_secret", {"signee": "S", "jwt_secret": "s"}),
    ("mbanq", "signed_jwt", "signee", {"signee": "S", "jwt_secret": "s"}),
    ("kunacore", "api_key", "api_key", {"api_key": "k"}),
]


@pytest.fixture
def identities(fields_of, process_tokens):
    """The identities under which a connection's token is kept."""

    def make(bank, **changes):
        return BANKS[bank].access(fields_of(bank, **changes), process_tokens).source.identities

    return make


@ANY_BANK
def test_two_connections_of_one_user_share_their_token(identities, bank):
    """A connection's name, timeout and added headers are not part of whose token it is."""
    same = identities(bank, conn_id="c2", extra={"timeout": 5, "headers": {"X-Client": "acme"}})
    assert same == identities(bank)


@pytest.mark.parametrize(("bank", "change"), SOMEBODY_ELSE)
def test_each_field_that_says_who_asks_is_part_of_it(identities, bank, change):
    """Origins, client, user, tenant and each secret: whatever differs, the token is another one."""
    assert identities(bank, **change) != identities(bank)


def test_no_two_banks_share_a_token(identities):
    """Equal fields at two banks are two identities."""
    assert len({identities(bank) for bank in BANKS}) == len(BANKS)


def test_another_certificate_is_another_token(identities, issue):
    """A token got with one certificate is not used with another."""
    other = issue()
    pem = {"client_certificate_pem": other.certificate_pem, "private_key_pem": other.key_pem()}
    assert identities("banking_circle", extra=pem) != identities("banking_circle")


def test_one_certificate_in_two_forms_is_one_token(identities, issued):
    """P12 or PEM: the certificate is the same, and so is the token."""
    p12 = {"private_key_p12": issued.p12(), "client_certificate_pem": None, "private_key_pem": None}
    assert identities("banking_circle", extra=p12) == identities("banking_circle")


def test_a_verification_is_kept_apart_from_the_login(fields_of, process_tokens):
    """Mbanq's two tokens lie under two identities."""
    auth = mbanq.access(fields_of("mbanq"), process_tokens).auth
    assert auth.second_factor.identities != auth.login.identities


def test_a_verification_belongs_to_its_secret(fields_of, process_tokens):
    """Who does not have the TOTP secret does not find the verification that it earned."""

    def verification(secret):
        return mbanq.access(fields_of("mbanq", extra={"totp_secret": secret}), process_tokens).auth.second_factor

    found = {verification(secret).identities for secret in ("GEZDGNBVGY3TQOJQ", "MZXW6YTBOI======", None)}
    assert len(found) == 3


@ANY_BANK
def test_a_change_of_keys_changes_no_account(fields_of, clock, keys, bank):
    """Leases and codes are by who the user is, so that workers with the old ring and the new keep apart, and share."""

    def opened(*ring):
        cache = TokenCache(open_database("none"), Seal(ring), now=clock)
        return BANKS[bank].access(fields_of(bank), lambda: cache).source

    old, new = opened(keys[0]), opened(keys[1], keys[0])
    assert old.account == new.account
    assert old.identities[0] in new.identities


@pytest.mark.parametrize(("bank", "change"), [change for change in SOMEBODY_ELSE if "password" not in change[1]])
def test_another_user_is_another_account(fields_of, process_tokens, bank, change):
    """Two users' logins do not wait for each other; a secret is no part of an account."""
    one, other = (BANKS[bank].access(fields_of(bank, **changes), process_tokens) for changes in ({}, change))
    same_user = change == {"extra": {"client_secret": "other"}}
    assert (one.source.account == other.source.account) is same_user


def test_a_second_factor_has_an_account_of_its_own(fields_of, process_tokens):
    """Its lease is not the login's, which it needs; its codes are its own."""
    access = mbanq.access(fields_of("mbanq"), process_tokens)
    assert access.second_factor.account != access.source.account
    assert access.second_factor.grant.login.__self__.account == access.second_factor.account


def test_a_code_is_for_a_person_only_where_there_is_no_secret(fields_of, process_tokens):
    """With a TOTP secret nobody is sent a code."""
    assert mbanq.access(fields_of("mbanq"), process_tokens).send_code is None
    assert mbanq.access(fields_of("mbanq", extra={"totp_secret": ""}), process_tokens).send_code is not None


SANDBOX = {
    "host": "https://sandbox.bankingcircleconnect.com",
    "authorization_url": "https://authorizationsandbox.bankingcircleconnect.com",
}
PRODUCTION = {
    "host": "https://www.bankingcircleconnect.com",
    "authorization_url": "https://authorization.bankingcircleconnect.com",
}


def circle(fields_of, host: str, authorization_url: str):
    return fields_of("banking_circle", host=host, extra={"authorization_url": authorization_url})


@pytest.mark.parametrize(("one", "other"), [(SANDBOX, PRODUCTION), (PRODUCTION, SANDBOX)])
def test_banking_circles_environments_are_not_mixed(fields_of, one, other):
    """Before any login: the production's credentials are never sent to the sandbox, nor the other way round."""

    def no_tokens():
        raise AssertionError("nobody logs in")

    with pytest.raises(ConfigurationError, match="same environment") as refused:
        banking_circle.access(circle(fields_of, one["host"], other["authorization_url"]), no_tokens)
    assert refused.value.fields["field"] == "authorization_url"
    for word in ("a sandbox", "a production"):
        assert word in str(refused.value)


@pytest.mark.parametrize(
    "hosts",
    [
        SANDBOX,
        PRODUCTION,
        {"host": "https://sandbox.bankingcircleconnect.com", "authorization_url": "https://proxy.acme.example"},
        {"host": "https://gateway.acme.example", "authorization_url": "https://sandbox.acme.example"},
    ],
)
def test_other_pairs_of_addresses_are_not_ours_to_judge(fields_of, process_tokens, hosts):
    """Both of one environment, or a gateway of one's own before either."""
    assert banking_circle.access(circle(fields_of, **hosts), process_tokens).source is not None


@pytest.mark.parametrize("value", ["", None, "***"])
@pytest.mark.parametrize(("bank", "name"), NEEDED)
def test_each_field_that_is_needed_is_named(fields_of, process_tokens, bank, name, value):
    """A needed field that is empty, or holds a saved mask, is one sentence with connection, field and remedy."""
    changes = {name: value} if name in ("host", "login", "password") else {"extra": {name: value}}
    with pytest.raises(ConfigurationError) as refused:
        BANKS[bank].access(fields_of(bank, **changes), process_tokens)
    assert refused.value.fields["conn_id"] == "c1"
    assert refused.value.fields["field"] == name
    assert refused.value.fields["advice"]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("bank", "mode", "name", "extra"), NEEDED_IN_MODE)
def test_a_mode_needs_its_own_fields_only(fields_of, bank, mode, name, extra):
    """A mode without tokens needs its own fields, neither store nor key, and says what is missing."""

    def no_tokens():
        raise AssertionError("this mode needs no tokens")

    extra = {**extra, "auth_mode": mode}
    access = BANKS[bank].access(fields_of(bank, extra=extra), no_tokens)
    assert (access.source, access.mode) == (None, mode)
    with pytest.raises(ConfigurationError) as refused:
        BANKS[bank].access(fields_of(bank, extra={**extra, name: ""}), no_tokens)
    assert refused.value.fields["field"] == name


@pytest.mark.parametrize("bank", ["mbanq", "mangopay", "kunacore"])
def test_an_unknown_mode_is_refused(fields_of, process_tokens, bank):
    """A mode that the bank does not have is refused with those that it has."""
    with pytest.raises(ConfigurationError, match=r"auth_mode.*choose one of"):
        BANKS[bank].access(fields_of(bank, extra={"auth_mode": "magic"}), process_tokens)


@ANY_BANK
def test_nothing_shows_a_secret(fields_of, process_tokens, bank):
    """The repr of what a connection is opened into has no secret in it."""
    access = BANKS[bank].access(fields_of(bank), process_tokens)
    shown = f"{access!r} {access.auth!r} {access.source.grant!r} {access.line!r}"
    hidden = ("pw-1", "csecret", "GEZDGNBVGY3TQOJQ", "YW5uYTpwdy0x", "PRIVATE KEY")
    assert not [secret for secret in hidden if secret in shown]
