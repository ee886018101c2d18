"""MANGOPAY bank-wire payouts, sent under an idempotency key that the payout's identity alone decides."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import httpx

from nostro.banks.mangopay.api import MangopayApi
from nostro.errors import ConfigurationError, OutcomeUnknown, PayoutConflict, UnexpectedAnswer
from nostro.money import AmountError, exponent
from nostro.reading import documented, segment, text
from nostro.values import Payout, PayoutReport, PayoutState
from nostro.wire import dig, operation, parse_json

_PATH = "/payouts/bankwire"
_STATES: dict[str, PayoutState] = {"CREATED": "ACCEPTED", "SUCCEEDED": "PAID", "FAILED": "REJECTED"}
_RESULT_CODE = re.compile(r"[0-9]{6}")
_TYPE = re.compile(r"[a-z_]{1,40}")
# Answers by which the bank says that it decided against the payout: it does not exist. 409 is not among them: it tells
# of an earlier payout under the same key, and 401, 408, 425 and 429 tell nothing of it.
_DEFINITE = frozenset({400, 403, 404, 422})


@dataclass(frozen=True, slots=True)
class MangopayPayouts:
    """`origin` and the API's client id make the keys of two connections differ."""

    api: MangopayApi
    origin: str

    def submit(self, payout: Payout) -> PayoutReport:
        """Send `payout`, once however often this is called within the day that the bank remembers its key.

        Raises PayoutConflict for an end_to_end_id used with other content, OutcomeUnknown where the bank gave no
        usable answer, ConfigurationError for content that the bank cannot take.
        """
        self._check(payout)
        body = self._body(payout)
        headers = {"Idempotency-Key": self._key(payout)}
        response = self.api.caller.write(self.api.path(_PATH), body, headers)
        if response.status_code == httpx.codes.CONFLICT:
            # Whatever became of the first call, a repeated key gives 409; what became of it is kept for a day.
            return self._original(payout, body)
        refusal = self._refusal(response)
        if refusal:
            return PayoutReport("REJECTED", None, refusal)
        return self._accepted(self.api.checked(response))

    def _accepted(self, response: httpx.Response) -> PayoutReport:
        """The report in the answer to a payout that the bank took; what cannot be read is no proof that it did not."""
        try:
            return self._report(self._json(response))
        except UnexpectedAnswer:
            pass
        raise self.api.caller.unknown(operation(response.request), "an answer of another shape than documented")

    def _refusal(self, response: httpx.Response) -> str | None:
        """Why the bank decided against a payout; None if this is not such a decision.

        A definite status with somebody else's page, a firewall's say, decides nothing.
        """
        if response.status_code not in _DEFINITE:
            return None
        try:
            body = parse_json(response)
        except ValueError:
            body = None
        if isinstance(body, dict) and ("Message" in body or "Type" in body or "error" in body):
            return _refusal(body, response.status_code)
        raise self.api.caller.unknown(operation(response.request), f"status {response.status_code} without a reason")

    def status(self, payout: Payout) -> PayoutReport:
        """What became of `payout`; REVIEW where the bank does not know its key, never sent or more than a day ago."""
        first = self._first_answer(payout)
        if first is None:
            return PayoutReport("REVIEW", None, "the bank does not know this payout's idempotency key (any more)")
        if dig(first, ["Resource", "Id"]) is None:
            return PayoutReport("REJECTED", None, _refusal(first.get("Resource"), first.get("StatusCode")))
        with documented(self.api.caller, "/responses"):
            payout_id = text(first["Resource"], "Id")
        return self._report(self._json(self.api.read(f"/payouts/{segment(payout_id)}")))

    def _key(self, payout: Payout) -> str:
        identity = "\n".join((self.origin, self.api.client_id, payout.end_to_end_id))
        return hashlib.sha256(identity.encode()).hexdigest()[:32]  # 16 to 36 characters, letters, digits, dashes

    def _check(self, payout: Payout) -> None:
        if not payout.end_to_end_id or len(payout.end_to_end_id) > 35:
            raise self._error("end_to_end_id", "it is not 1 to 35 characters long", "shorten it")
        if payout.amount.minor <= 0:
            raise self._error("amount", "it is not positive", "give the amount to be paid")
        if not payout.creditor.bank_reference:
            advice = "register the creditor's bank account with MANGOPAY and give its id"
            raise self._error("creditor.bank_reference", "it is empty", advice)
        try:
            exponent(payout.amount.currency)
        except AmountError as error:
            raise self._error("amount", f"it is in {error}", "use a currency of ISO 4217") from None

    def _body(self, payout: Payout) -> dict[str, Any]:
        path = f"/wallets/{segment(payout.debtor_account)}"
        wallet = self._json(self.api.read(path))
        with documented(self.api.caller, self.api.path(path)):
            author = wallet["Owners"][0]
        currency = payout.amount.currency
        return {
            "AuthorId": author,
            "Tag": payout.end_to_end_id,
            "DebitedFunds": {"Currency": currency, "Amount": payout.amount.minor},
            "Fees": {"Currency": currency, "Amount": 0},
            "DebitedWalletId": payout.debtor_account,
            "BankAccountId": payout.creditor.bank_reference,
            "BankWireRef": payout.remittance_information[:255],
        }

    def _original(self, payout: Payout, body: dict[str, Any]) -> PayoutReport:
        first = self._first_answer(payout)
        if first is None:
            reason = "409 for a known key, whose first answer is not to be had"
            advice = "look the payout up at the bank by its Tag, the end_to_end_id"
            raise self.api.caller.error(OutcomeUnknown, f"POST {self.api.path(_PATH)}", reason, advice)
        made = dig(first, ["Resource", "Id"]) is not None
        for name in ("DebitedFunds", "DebitedWalletId", "BankAccountId", "BankWireRef") if made else ():
            if dig(first, ["Resource", name]) not in (None, body[name]):
                raise PayoutConflict(
                    conn_id=self.api.caller.conn_id, end_to_end_id=payout.end_to_end_id, difference=name
                )
        return self.status(payout)

    def _first_answer(self, payout: Payout) -> dict[str, Any] | None:
        """The bank's record of the first call under the payout's key, None if it has none."""
        path = self.api.path(f"/responses/{self._key(payout)}")
        response = self.api.caller.answer("GET", path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        record = self._json(self.api.checked(response))
        if not isinstance(record, dict):
            raise self.api.caller.unexpected(response, "no object")
        return record

    def _report(self, row: Any) -> PayoutReport:
        with documented(self.api.caller, self.api.path(_PATH)):
            state = _STATES.get(row["Status"], "PENDING")  # a status not known yet is not final
            code = str(row.get("ResultCode") or "")
            reason = f"result code {code}" if state == "REJECTED" and _RESULT_CODE.fullmatch(code) else None
            return PayoutReport(state, text(row, "Id"), reason)

    def _json(self, response: httpx.Response) -> Any:
        return self.api.caller.json(response)

    def _error(self, field: str, reason: str, advice: str) -> ConfigurationError:
        return ConfigurationError(
            conn_id=self.api.caller.conn_id, field=f"payout.{field}", reason=reason, advice=advice
        )


def _refusal(body: Any, status: Any) -> str:
    """The bank's own word for why, if it is one: `param_error`, say."""
    kind = dig(body, ["Type"])
    return kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else f"status {status}"
