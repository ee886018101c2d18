import importlib
import importlib.metadata
import json
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

from nostro import registry
from nostro.provider_info import get_provider_info

BANKS = {bank.conn_type: bank for bank in registry.manifests()}
SECRETS = [
    *("client_secret", "totp_secret", "jwt_secret", "api_key"),
    *("private_key_p12", "private_key_passphrase", "private_key_pem"),
]


def test_provider_info_fits_airflows_own_schema():
    """Airflow accepts what this provider says of itself."""
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_provider_info_is_plain_json():
    """Provider info crosses Airflow's processes as JSON."""
    assert json.loads(json.dumps(get_provider_info())) == get_provider_info()


def test_the_package_name_is_the_distributions():
    """Another name than the distribution's would break provider discovery for everybody."""
    distribution = importlib.metadata.distribution("airflow-provider-nostro")
    assert get_provider_info()["package-name"] == distribution.name
    entry_points = distribution.entry_points.select(group="apache_airflow_provider")
    assert [entry_point.load()() for entry_point in entry_points] == [get_provider_info()]


@pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS)
def test_a_secret_fields_name_is_masked_by_airflow(bank):
    """Airflow masks each secret field by its name alone, in the API and in logs."""
    assert [name for name, f in bank.fields.items() if f.secret and not should_hide_value_for_key(name)] == []


def test_the_secret_fields_are_the_contracts():
    """Every field that holds a secret is marked as one."""
    marked = {name for bank in BANKS.values() for name, f in bank.fields.items() if f.secret}
    assert marked == set(SECRETS)


@pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS)
def test_the_hook_is_where_the_manifest_says(bank):
    """The hook's class is found by the name that Airflow is given, and knows its connection type."""
    module, _, name = bank.hook_class.rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert (hook.conn_type, hook.default_conn_name) == (bank.conn_type, f"{bank.conn_type}_default")
    assert hook.hook_name == bank.title


def test_sensitive_options_are_marked():
    """Airflow's own views of the configuration hide the store's URL and the keys."""
    options = get_provider_info()["config"]["nostro"]["options"]
    assert {name for name, option in options.items() if option["sensitive"]} == {"store", "seal_keys"}
    assert set(options) == {"connections", "store", "seal_keys", "lake"}
