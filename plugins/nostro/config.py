"""Section [nostro] of Airflow's configuration, as data for provider info; values are read in `settings`."""

from typing import Any

from nostro.registry import BANKS

DEFAULT_CONNECTIONS = ",".join(f"{bank}_default" for bank in BANKS)
DEFAULT_STORE = "sqlite:///{AIRFLOW_HOME}/nostro.db"
DEFAULT_LAKE = "file://{AIRFLOW_HOME}/nostro-lake"


def _option(description: str, default: str | None, example: str | None, *, sensitive: bool = False) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": default,
        "sensitive": sensitive,
    }


CONFIG: dict[str, Any] = {
    "nostro": {
        "description": "Bank connections, the tokens they share, and where statements go.",
        "options": {
            "connections": _option(
                "Comma-separated connection ids that the DAGs work on.", DEFAULT_CONNECTIONS, "acme_eu,acme_uk"
            ),
            "store": _option(
                "SQLAlchemy URL of nostro's own database, or 'none' for no shared store.",
                DEFAULT_STORE,
                "postgresql://nostro:secret@db.example/nostro",
                sensitive=True,
            ),
            "seal_keys": _option(
                "Comma-separated Fernet keys that seal tokens, newest first. Empty: Airflow's own Fernet key.",
                "",
                None,
                sensitive=True,
            ),
            "lake": _option(
                "Where statements and reports are written.", DEFAULT_LAKE, "s3://aws_default@bucket/nostro"
            ),
        },
    }
}
