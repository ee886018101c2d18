"""What Airflow reads of this provider in every one of its processes: a fold over the banks' manifests."""

from typing import Any

from nostro import __version__
from nostro.config import CONFIG
from nostro.registry import manifests


def get_provider_info() -> dict[str, Any]:
    banks = manifests()
    return {
        "package-name": "airflow-provider-nostro",
        "name": "Nostro",
        "description": "Statements, payouts and reconciliation with "
        + ", ".join(bank.title for bank in banks)
        + ": each bank's authentication behind one hook.",
        "versions": [__version__],
        "connection-types": [bank.as_connection_type() for bank in banks],
        "cli": ["nostro.cli.definition.get_nostro_commands"],
        "config": CONFIG,
    }
