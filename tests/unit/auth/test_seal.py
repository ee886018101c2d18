import base64
import json
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from nostro.auth.seal import Seal
from nostro.errors import SealBroken, SettingError

WHAT = "A token in this test"
TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=4)


def test_what_is_sealed_opens_as_it_was(seal, token_of):
    """A token comes out of its seal as it went in, but for the store's generation."""
    token = token_of(refresh_token="r-1", refresh_expires_at=token_of().expires_at, notes={"second_factor": "yes"})
    assert seal.open(seal.seal("i", token), ["i"], what=WHAT) == token


def test_a_sealed_token_is_ascii_and_shows_nothing(seal, token_of):
    """A sealed token is plain ASCII text that XCom carries, with neither token nor identity to be read in it."""
    sealed = seal.seal("identity-1", token_of("value-1", refresh_token="refresh-1"))
    assert isinstance(sealed, str)
    assert sealed.isascii()
    raw = base64.urlsafe_b64decode(sealed)
    assert not [word for word in (b"value-1", b"refresh-1", b"identity-1") if word in raw or word.decode() in sealed]


def test_every_key_of_a_ring_opens(keys, token_of):
    """The newest key seals, each key of the ring opens."""
    sealed_by = {key: Seal([key]).seal("i", token_of()) for key in keys}
    for sealed in sealed_by.values():
        assert Seal(keys).open(sealed, ["i"], what=WHAT).value == "tok-1"
    assert Seal(keys[:1]).open(Seal(keys).seal("i", token_of()), ["i"], what=WHAT).value == "tok-1"


def test_a_foreign_key_opens_nothing(keys, token_of):
    """A process without the key gets a clear error that tells what to do, not a token."""
    with pytest.raises(SealBroken, match="seal_keys"):
        Seal(keys[1:]).open(Seal(keys[:1]).seal("i", token_of()), ["i"], what=WHAT)


def test_a_token_opens_for_its_own_identity_only(seal, token_of):
    """A sealed token laid in another connection's place opens for nobody."""
    sealed = seal.seal("anna's", token_of())
    with pytest.raises(SealBroken, match="another connection"):
        seal.open(sealed, ["bert's"], what=WHAT)
    with pytest.raises(SealBroken):
        seal.open(sealed, [], what=WHAT)


@given(data=st.data())
def test_a_changed_byte_is_noticed(data, seal, token_of):
    """No byte of a seal can be changed unseen."""
    raw = bytearray(base64.urlsafe_b64decode(seal.seal("i", token_of())))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        seal.open(base64.urlsafe_b64encode(raw).decode(), ["i"], what=WHAT)


@pytest.mark.parametrize("sealed", ["", "x", "not a token", "ä", None, 5, b"bytes", ["x"], "\ud800"])
def test_what_is_no_seal_is_refused(seal, sealed):
    """Anything that is no sealed token is refused by the same error, of whatever type it is."""
    with pytest.raises(SealBroken):
        seal.open(sealed, ["i"], what=WHAT)


def test_something_else_sealed_by_the_same_key_is_no_token(keys, seal):
    """Ciphertext of the right key that was never a token is refused: Airflow seals with that key as well."""
    for text in ("nostro", "[]", '"text"', "5", json.dumps({"v": 2, "identity": "i"}), json.dumps({"identity": "i"})):
        with pytest.raises(SealBroken):
            seal.open(Fernet(keys[0]).encrypt(text.encode()).decode(), ["i"], what=WHAT)


@pytest.mark.parametrize("keys", [[], ["x"], ["ä"], [""], ["AAAA"], ["*" * 44]])
def test_without_a_sound_key_there_is_no_seal(keys):
    """No key, or a malformed one, is a clear error that says how to make one; nothing is kept in clear."""
    with pytest.raises(SettingError, match="generate_key") as refused:
        Seal(keys)
    assert refused.value.fields["field"] == "seal_keys"


def test_one_malformed_key_spoils_the_ring(keys):
    """A ring with a typing error is refused as a whole, without quoting the key."""
    with pytest.raises(SettingError) as refused:
        Seal([keys[0], "hush-hush"])
    assert "hush" not in str(refused.value)


def test_the_repr_shows_no_key(keys):
    """A seal's repr tells how many keys it has."""
    assert repr(Seal(keys)) == "<Seal of 3 keys>"


@given(fields=TEXTS, secrets=TEXTS, other_fields=TEXTS, other_secrets=TEXTS)
def test_identities_are_equal_only_for_equal_fields_and_secrets(seal, fields, secrets, other_fields, other_secrets):
    """Two lists of fields and secrets share an identity only if they are the same, however they are cut."""
    same = (fields, secrets) == (other_fields, other_secrets)
    assert (seal.identities(fields, secrets) == seal.identities(other_fields, other_secrets)) == same


@given(fields=TEXTS, secrets=TEXTS, data=st.data())
def test_any_single_difference_gives_another_identity(seal, fields, secrets, data):
    """One field or secret that differs, by whatever it differs, gives another identity."""
    every = [*fields, *secrets]
    place = data.draw(st.integers(0, len(every) - 1))
    changed = [*every]
    changed[place] = data.draw(
        st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda new: new != every[place])
    )
    cut = len(fields)
    assert seal.identities(changed[:cut], changed[cut:]) != seal.identities(fields, secrets)


def test_a_field_is_no_secret(seal):
    """A value that moves from the fields to the secrets gives another identity, and so does a text cut elsewhere."""
    identities = [
        seal.identities(["a", "b"], ["c"]),
        seal.identities(["a"], ["b", "c"]),
        seal.identities(["ab"], ["c"]),
        seal.identities(["a", "b"], ["c", ""]),
        seal.identities(["a", "", "b"], ["c"]),
    ]
    assert len(set(identities)) == len(identities)


def test_an_identity_is_keyed(keys):
    """Identities under two keys have nothing in common, and a ring has one for each key, the sealing key's first."""
    ring = Seal(keys).identities(["a"], ["b"])
    assert list(ring) == [Seal([key]).identities(["a"], ["b"])[0] for key in keys]
    assert len(set(ring)) == len(keys)
    assert all(len(identity) == 64 for identity in ring)


def test_a_check_value_is_for_holders_of_a_key(keys):
    """A store's check value tells whether a process has one of its keys, and whether the newest made it."""
    made = Seal(keys[:1]).check_value()
    assert Seal(keys).fits(made)
    assert not Seal(keys[1:]).fits(made)
    assert Seal(keys).is_current(made)
    assert not Seal(keys[::-1]).is_current(made)
    assert not Seal(keys).fits("nostro")


def test_what_is_sealed_does_not_hold_the_generation(seal, token_of):
    """The store's count is the store's: a token in XCom brings none with it."""
    token = token_of(generation=7)
    assert seal.open(seal.seal("i", token), ["i"], what=WHAT).generation == 0
    assert token.expires_at - token.issued_at == timedelta(hours=1)
