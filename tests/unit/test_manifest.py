import pytest

from nostro import registry
from nostro.manifest import COMMON_FIELDS, Field

ALL_FIELDS = [
    pytest.param(name, f, id=f"{bank.conn_type}-{name}")
    for bank in registry.manifests()
    for name, f in {**bank.fields, **COMMON_FIELDS}.items()
]


def test_a_choice_with_a_default_is_one_of_its_choices():
    """A select with a default offers its choices and nothing else."""
    schema = Field("Mode", choices=("a", "b"), default="a").as_conn_field()["schema"]
    assert (schema["enum"], schema["default"]) == (["a", "b"], "a")


def test_a_choice_without_default_may_stay_empty():
    """A select without default can be left open: the form sends an empty text or null."""
    schema = Field("Way", choices=("EMAIL", "SMS")).as_conn_field()["schema"]
    assert "null" in schema["type"]
    assert schema["enum"] == ["EMAIL", "SMS"]  # null among them would be offered as the word "null"
    assert "default" not in schema


@pytest.mark.parametrize(("name", "f"), ALL_FIELDS)
def test_only_what_every_mode_needs_is_demanded_by_the_form(name, f):
    """The rest may stay empty there: whether it is needed depends on the mode, and is said when it is used."""
    assert ("null" in f.as_conn_field()["schema"]["type"]) is not f.required


@pytest.mark.parametrize(("name", "f"), ALL_FIELDS)
def test_a_default_is_among_its_choices(name, f):
    """A default is one of the choices."""
    assert f.default is None or f.default in f.choices


@pytest.mark.parametrize(("name", "f"), ALL_FIELDS)
def test_a_secret_is_a_password_field_and_shows_nothing(name, f):
    """A secret field is hidden in the form, and no other format stands in its way."""
    assert (f.as_conn_field()["schema"].get("format") == "password") == f.secret


def test_modes_offered_are_those_that_the_bank_takes():
    """Each bank's auth_mode offers the contract's modes, its default first."""
    modes = {
        bank.conn_type: bank.fields["auth_mode"].choices for bank in registry.manifests() if "auth_mode" in bank.fields
    }
    assert modes == {
        "mbanq": ("password", "signed_jwt"),
        "mangopay": ("oauth2", "basic"),
        "kunacore": ("jwt", "api_key"),
    }


def test_fields_are_those_of_the_contract():
    """Each bank has the extra fields that people script against, and no others."""
    assert {bank.conn_type: set(bank.fields) for bank in registry.manifests()} == {
        "mbanq": {
            *("auth_mode", "tenant_id", "client_id", "client_secret", "totp_secret", "otp_delivery_method"),
            *("jwt_secret", "signee"),
        },
        "m2p": {"tenant_id", "entity_ids"},
        "mangopay": {"auth_mode"},
        "kunacore": {"auth_mode", "merchant_id", "api_key"},
        "banking_circle": {
            *("authorization_url", "private_key_p12", "private_key_passphrase", "client_certificate_pem"),
            *("private_key_pem", "ca_certificates_pem"),
        },
    }
    assert set(COMMON_FIELDS) == {"timeout", "headers"}
