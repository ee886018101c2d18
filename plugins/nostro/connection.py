"""A bank connection's fields, checked: what Airflow stores, without Airflow."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from nostro.errors import ConfigurationError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# What signs, addresses or guards a request is nostro's to set; a header by hand would go unnoticed for years.
_RESERVED = frozenset(
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "host",
        "content-length",
        "transfer-encoding",
        "idempotency-key",
        "api-key",
        "jwt-token",
        "tenantid",
        "fineract-platform-tenantid",
        "fineract-platform-tfa-token",
        "x-tenant-id",
        "merchant_id",
        "x-request-id",
        "x-messagereference",
        "content-type",
    ]
)
_HOST = re.compile(rb"[a-z0-9_.-]+|[0-9a-f.]*:[0-9a-f:.]*")  # a name in ASCII, or an IPv6 address
_DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class BankConnection:
    """One connection's fields. Getters raise ConfigurationError, which names the field and the remedy.

    An empty string, null and a missing key all mean that a field is not set: Airflow's form writes each of them.
    `mask` is to be called with each secret that is made of the fields.
    """

    conn_id: str
    host: str | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    port: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    mask: Callable[[str], None] = field(default=lambda secret: None, repr=False)

    def error(self, name: str, reason: str, advice: str) -> ConfigurationError:
        return ConfigurationError(conn_id=self.conn_id, field=name, reason=reason, advice=advice)

    def optional(self, name: str) -> str | None:
        """The field as text, None if it is not set; `name` is one of Airflow's own fields or a key of `extra`."""
        value = {"host": self.host, "login": self.login, "password": self.password}.get(name, self.extra.get(name))
        if value is None or value == "":
            return None
        if isinstance(value, bool | float) or not isinstance(value, str | int):
            raise self.error(name, "it is not text", "enter it as plain text")
        text = str(value)
        if set(text.strip()) == {"*"}:
            raise self.error(name, "it holds only asterisks, a mask that was saved", "enter the real value again")
        return text

    def require(self, name: str, what: str) -> str:
        """The field as text; `what` says what it is, for who has to fill it in."""
        value = self.optional(name)
        if value is None or not value.strip():
            raise self.error(name, "it is empty", f"enter {what}")
        return value

    def header(self, name: str, what: str) -> str:
        """As `require`, for what becomes a header: without the blanks and line ends that copying brings along."""
        text = self.require(name, what).strip()
        if not text.isascii() or not text.isprintable():
            raise self.error(name, "it holds characters that fit no header", "enter plain ASCII text")
        self.mask(text)
        return text

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`, in whatever case it was written; the first if the field is not set."""
        value = self.optional(name) or choices[0]
        for known in choices:
            if value.strip().casefold() == known.casefold():
                return known
        raise self.error(name, "its value is not known", f"choose one of: {', '.join(filter(None, choices))}")

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; a single text is split at commas and line ends, as people type them."""
        value = self._structure(name)
        if value is None or value == "":
            return ()
        items = re.split(r"[,\n]", value) if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self.error(name, "it is not a list of texts", 'enter a list, such as ["one", "two"]')
        return tuple(item.strip() for item in items if item.strip())

    def _structure(self, name: str) -> Any:
        """A list or an object; a connection written as a URI has them as JSON text."""
        value = self.extra.get(name)
        if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
            try:
                return json.loads(value)
            except (ValueError, RecursionError):
                raise self.error(name, "it is malformed JSON", "correct its brackets and quotes") from None
        return value

    def origin(self, name: str = "host") -> str:
        """The origin (scheme, host and port) in `host` or another field; https, or http on this machine only."""
        text = self.require(name, "the bank's address, such as https://api.example.com").strip()
        advice = "enter scheme, host and port only, such as https://api.example.com"
        try:
            parts = httpx.URL(text if "://" in text else f"https://{text}")
        except (httpx.InvalidURL, ValueError):
            raise self.error(name, "it is not an address", advice) from None
        if parts.port is None and self.port and name == "host":
            parts = parts.copy_with(port=self.port)
        if not parts.host or parts.raw_path != b"/" or parts.fragment or parts.userinfo:
            raise self.error(name, "it is not an origin", advice)
        if not _HOST.fullmatch(parts.raw_host) or (parts.port is not None and not 0 < parts.port < 65_536):
            raise self.error(name, "it is not an address", advice)
        if parts.scheme not in ("https", "http"):
            raise self.error(name, "its scheme is not https", advice)
        if parts.scheme == "http" and parts.host not in LOOPBACK:
            raise self.error(name, "it is plain http, which would send secrets in clear", "write https://")
        return f"{parts.scheme}://{parts.netloc.decode('ascii')}"

    def timeout(self) -> float:
        """Seconds to wait for the bank, to connect and to answer."""
        value = self.extra.get("timeout")
        if value is None or value == "":
            return _DEFAULT_TIMEOUT
        try:
            seconds = float(value)
        except (TypeError, ValueError, OverflowError):
            seconds = 0.0
        if isinstance(value, bool) or not 0 < seconds <= 600:
            raise self.error(
                "timeout", "it is not a number of seconds between 0 and 600", "enter a number or leave it out"
            )
        return seconds

    def headers(self) -> dict[str, str]:
        """More headers to send with every request."""
        value = self._structure("headers")
        if value is None or value == "":
            return {}
        if not isinstance(value, Mapping):
            raise self.error("headers", "it is not an object", 'enter it as {"Name": "value"}')
        for name, text in value.items():
            if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
                raise self.error("headers", "a header's name is malformed", "use letters, digits and dashes")
            if name.lower() in _RESERVED:
                raise self.error("headers", f"'{name}' is set by nostro", "remove it")
            if isinstance(text, str) and text.strip() and set(text.strip()) == {"*"}:
                raise self.error("headers", f"'{name}' holds only asterisks, a mask that was saved", "enter it again")
            if not isinstance(text, str) or not text.isascii() or not text.isprintable():
                raise self.error("headers", f"the value of '{name}' is not plain ASCII text", "correct it")
        return dict(value)
