"""Sealing: tokens at rest and in XCom are Fernet ciphertext that says, inside, whose they are."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from nostro.auth.tokens import Token
from nostro.errors import SealBroken, SettingError

_ADVICE = (
    "set AIRFLOW__NOSTRO__SEAL_KEYS on every worker to the output of: "
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)


class Seal:
    """A ring of Fernet keys: the first seals, each of them opens.

    Fernet has no associated data, so the identity that a token belongs to lies inside the seal and is compared when it
    is opened: a row copied over another connection's row opens for nobody.
    """

    def __init__(self, keys: Sequence[str], setting: str = "seal_keys") -> None:
        if not keys:
            reason = "there is no key to seal tokens with, and no Fernet key of Airflow's that may serve"
            raise SettingError(field=setting, conn_id="", reason=reason, advice=_ADVICE)
        try:
            raw = [base64.urlsafe_b64decode(key) for key in keys]
            fernets = [Fernet(key) for key in keys]
        except (ValueError, binascii.Error):
            raise SettingError(
                field=setting, conn_id="", reason="a key is not 32 bytes in url-safe base64", advice=_ADVICE
            ) from None
        self._newest, self._fernet = fernets[0], MultiFernet(fernets)
        # A key of its own for each purpose: an identity must tell nothing about the key that seals.
        self._identity_keys = [hmac.digest(key, b"nostro identity v1", "sha256") for key in raw]

    def __repr__(self) -> str:
        return f"<Seal of {len(self._identity_keys)} keys>"

    def identities(self, fields: Sequence[str], secrets: Sequence[str]) -> tuple[str, ...]:
        """The keyed hash of identity fields and secrets under each key, the sealing key's first.

        Keyed, so that no secret can be guessed from it.
        """
        message = length_prefixed((str(len(fields)), *fields, *secrets))
        return tuple(hmac.new(key, message, hashlib.sha256).hexdigest() for key in self._identity_keys)

    def seal(self, identity: str, token: Token) -> str:
        """`token` sealed for `identity`, as ASCII text."""
        return self._seal(identity, "token", _to_plain(token))

    def open(self, sealed: str, identities: Sequence[str], *, what: str) -> Token:
        """The token in `sealed`, if it was sealed for one of `identities`.

        Raises SealBroken for anything else: a foreign key, another connection's token, changed bytes.
        """
        return _from_plain(self._open(sealed, identities, "token", what))

    def seal_text(self, identity: str, text: str) -> str:
        """A short secret, such as a one-time code, sealed for `identity`."""
        return self._seal(identity, "text", text)

    def open_text(self, identity: str, sealed: str, *, what: str) -> str:
        """The text in `sealed`. Raises SealBroken as `open` does."""
        return str(self._open(sealed, [identity], "text", what))

    def _seal(self, identity: str, kind: str, content: Any) -> str:
        return self._fernet.encrypt(json.dumps({"v": 1, "identity": identity, kind: content}).encode()).decode()

    def _open(self, sealed: str, identities: Sequence[str], kind: str, what: str) -> Any:
        try:
            payload = json.loads(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError, AttributeError):
            advice = "give every worker the same [nostro] seal_keys (or the same Airflow Fernet key)"
            raise SealBroken(what=what, advice=advice) from None
        sound = isinstance(payload, dict) and payload.get("v") == 1 and kind in payload
        if not sound or payload.get("identity") not in identities:
            advice = "it was sealed for another connection, or before this connection was changed; get a new one"
            raise SealBroken(what=what, advice=advice)
        return payload[kind]

    def check_value(self) -> str:
        """Text that only a process with one of these keys can check: see `fits`."""
        return self._fernet.encrypt(b"nostro").decode()

    def fits(self, check_value: str) -> bool:
        try:
            return self._fernet.decrypt(check_value.encode()) == b"nostro"
        except InvalidToken:
            return False

    def is_current(self, check_value: str) -> bool:
        """Whether the newest key made `check_value`."""
        try:
            self._newest.decrypt(check_value.encode())
        except InvalidToken:
            return False
        return True


def length_prefixed(parts: Sequence[str]) -> bytes:
    """`parts` as bytes to be hashed: no two lists of them run together into one."""
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


_INSTANTS = ("issued_at", "renew_at", "spent_at", "expires_at", "refresh_expires_at")


def _to_plain(token: Token) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(token, name) for name in Token.__slots__ if name != "generation"}
    for name in _INSTANTS:
        plain[name] = plain[name].isoformat() if plain[name] else None
    return plain


def _from_plain(plain: dict[str, Any]) -> Token:
    instants = {name: datetime.fromisoformat(plain[name]) if plain[name] else None for name in _INSTANTS}
    return Token(**{**plain, **instants})
