"""What Airflow must know of a bank, as data: its connection type, its form, its hook by name.

Manifests are read in every Airflow process, the command line's included; they import nothing heavy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the connection's `extra`, and its place in the form.

    A `secret` field's name holds a word by which Airflow masks values (secret, password, api_key, private_key,
    passphrase, token): the form's `format: password` alone masks nothing in the API or the logs. Only what every mode
    needs is `required`.
    """

    label: str
    description: str = ""
    secret: bool = False
    multiline: bool = False
    choices: tuple[str, ...] = ()
    default: str | None = None
    type: str = "string"
    required: bool = False
    limits: tuple[int, int] | None = None

    def as_conn_field(self) -> dict[str, Any]:
        """The field as provider info's `conn-fields` wants it. Null among its types says that it may stay empty."""
        schema: dict[str, Any] = {"type": self.type if self.required else [self.type, "null"]}
        if self.secret or self.multiline:
            schema["format"] = "password" if self.secret else "multiline"
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.default is not None:
            schema["default"] = self.default
        if self.type == "array":
            schema["items"] = {"type": "string"}
        if self.limits:
            schema["minimum"], schema["maximum"] = self.limits
        return {"label": self.label, "description": self.description, "schema": schema}


COMMON_FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "timeout": Field(
            "Timeout (seconds)",
            "How long to wait for the bank to connect and to answer; 30 if empty.",
            type="number",
            limits=(1, 600),
        ),
        "headers": Field(
            "More headers", "Sent with every request. Values are masked in logs, but can be read here.", type="object"
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One bank: `conn_type` is its name everywhere, `title` what people call it.

    `relabeling` and `placeholders` are for Airflow's own fields. `fields` are the bank's own, beside COMMON_FIELDS.
    """

    conn_type: str
    title: str
    hook_class: str
    relabeling: Mapping[str, str]
    placeholders: Mapping[str, str]
    fields: Mapping[str, Field] = field(default_factory=dict)

    def as_connection_type(self) -> dict[str, Any]:
        fields = {**self.fields, **COMMON_FIELDS}
        return {
            "connection-type": self.conn_type,
            "hook-class-name": self.hook_class,
            "hook-name": self.title,
            "conn-fields": {name: f.as_conn_field() for name, f in fields.items()},
            "ui-field-behaviour": {
                "hidden-fields": ["schema"],
                "relabeling": dict(self.relabeling),
                "placeholders": dict(self.placeholders),
            },
        }
