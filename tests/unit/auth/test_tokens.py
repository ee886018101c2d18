import copy
import json
import pickle
from datetime import UTC, datetime

import pytest
from airflow.sdk.serde import serialize

from nostro.auth.tokens import AccessToken

END = datetime(2026, 3, 1, 13, tzinfo=UTC)
VALUE = "eyJ-the-token"

WAYS_OUT = {
    "pickle": pickle.dumps,
    **{f"pickle-{protocol}": lambda token, p=protocol: pickle.dumps(token, p) for protocol in range(6)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "airflow": serialize,
    "airflow-list": lambda token: serialize([token]),
    "airflow-dict": lambda token: serialize({"token": token}),
}


@pytest.fixture(params=["AccessToken", "Token"])
def token(request, token_of):
    """A token as callers have it, and one as the store keeps it."""
    return AccessToken(VALUE, END) if request.param == "AccessToken" else token_of(VALUE, refresh_token="eyJ-refresh")


@pytest.mark.parametrize("way", WAYS_OUT.values(), ids=WAYS_OUT)
def test_a_token_is_not_serialized(token, way):
    """Neither pickle, copy nor Airflow's serde writes a token in clear; the error names get_sealed_token()."""
    with pytest.raises(TypeError, match=r"get_sealed_token\(\)") as refused:
        way(token)
    assert VALUE not in str(refused.value)


def test_an_access_token_is_no_json():
    """json.dumps refuses an access token by a message that names get_sealed_token()."""
    with pytest.raises(TypeError, match=r"get_sealed_token\(\)"):
        json.dumps({"token": AccessToken(VALUE, END)})


def test_the_stores_token_is_no_json(token_of):
    """json.dumps refuses the store's token as well."""
    with pytest.raises(TypeError):
        json.dumps(token_of(VALUE))


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, "%s".__mod__, "%r".__mod__], ids=range(6))
def test_a_token_does_not_show_its_value(token, show):
    """repr, str and both ways of formatting hide the value and the refresh token."""
    assert "eyJ" not in show(token)


def test_an_access_token_shows_its_end():
    """What may be shown is shown: until when the token lives."""
    assert "2026-03-01T13:00:00+00:00" in repr(AccessToken(VALUE, END))


def test_the_value_is_there_for_who_asks():
    """Value and end are plain attributes, the end aware."""
    access = AccessToken(VALUE, END)
    assert (access.value, access.expires_at) == (VALUE, END)
    assert not hasattr(access, "__dict__")
