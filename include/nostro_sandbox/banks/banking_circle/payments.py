"""Banking Circle's single payments: one under each key, and one of each content."""

import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from nostro_sandbox.bank import Refused
from nostro_sandbox.banks.banking_circle import rows
from nostro_sandbox.books import BOOK, FAIL, PDNG, Account, Book
from nostro_sandbox.payouts import Payout, Payouts, minor_of_number
from nostro_sandbox.wire import JsonObject, WireError, require_fields

_KEY_LIFETIME = 10 * 86400
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_REQUIRED = {"requestedExecutionDate": str, "debtorAccount": dict, "currencyOfTransfer": str, "amount": dict}
_OPTIONAL = {
    "debtorReference": str,
    "chargeBearer": str,
    "remittanceInformation": object,
    "creditorId": str,
    "creditorAccount": dict,
    "creditorName": str,
    "creditorAddress": object,
    "clearingNetwork": str,
    "fxQuoteId": str,
    "idempotencyKey": object,  # some clients put it here, where it protects nothing
}
_ACCOUNT_MORE = {"financialInstitution": str, "country": str}
_FILTERS = frozenset({"PaymentId", "Reference", "AccountId", "PageNumber", "PageSize"})


class Payments(Payouts):
    def __init__(self, book: Book, now: Callable[[], float]) -> None:
        super().__init__(book, now)
        self._keys: dict[str, tuple[float, str]] = {}

    def pay(self, body: JsonObject, key: str | None) -> Payout:
        self._check_key(key)
        payout = self._payout(body, key)
        self.take(payout)
        if key is not None:
            self._keys[key] = (time.time(), payout.payout_id)
        if date.fromisoformat(body["requestedExecutionDate"]) <= self.instant().date():
            # One for a later day stays pending as long as this process lives.
            self.begin(payout)
        return payout

    def _check_key(self, key: str | None) -> None:
        if key is None:
            return
        if not 1 <= len(key) <= 100:
            raise WireError("The Idempotency-Key must have 1 to 100 characters")
        used, payment_id = self._keys.get(key, (0.0, ""))
        if payment_id and time.time() < used + _KEY_LIFETIME:
            error = {
                "propertyName": "Idempotency-Key",
                "errorCode": "409",
                "errorDescription": "The Idempotency-Key was used before",
            }
            raise Refused(409, {**error, "paymentId": payment_id})

    def _payout(self, body: JsonObject, key: str | None) -> Payout:
        account, minor = self._checked(body)
        payment_id = str(uuid.uuid4())
        details = {"payment_id": payment_id}
        if body.get("creditorAccount"):
            details["creditor_account"] = body["creditorAccount"]
        movement = self.ordered(
            "Outgoing",
            account,
            minor,
            key=str(uuid.uuid4()),
            end_to_end_id=body.get("debtorReference"),
            counterparty=body.get("creditorName") or body.get("creditorId") or "",
            text=_text(body.get("remittanceInformation")),
            value_days=0,
            details=details,
        )
        return Payout(payment_id, movement, body, key)

    def _checked(self, body: JsonObject) -> tuple[Account, int]:
        require_fields(body, _REQUIRED, _OPTIONAL)
        # A day and no instant, though some clients send one.
        if not _DAY.fullmatch(body["requestedExecutionDate"]):
            raise _wrong("requestedExecutionDate", "Not of the form YYYY-MM-DD")
        try:
            date.fromisoformat(body["requestedExecutionDate"])
        except ValueError:
            raise _wrong("requestedExecutionDate", "No such day") from None
        for name in ("debtorAccount", "creditorAccount"):
            if body.get(name) is not None:
                require_fields(body[name], {"account": str}, _ACCOUNT_MORE)
        account = self._debtor(body["debtorAccount"]["account"])
        require_fields(body["amount"], {"currency": str, "amount": object})
        if body["amount"]["currency"] != account.currency or body["currencyOfTransfer"] != account.currency:
            # Currencies are exchanged at quotes, which are not emulated.
            raise _wrong("amount", "The amount is not in the currency of the account")
        if body.get("chargeBearer") not in (None, "BEN", "OUR", "SHA"):
            raise _wrong("chargeBearer", "Not one of BEN, OUR, SHA")
        if not body.get("creditorId") and not (body.get("creditorAccount") and body.get("creditorName")):
            raise _wrong("creditorAccount", "A creditorId, or creditorAccount and creditorName, are required")
        return account, minor_of_number(body["amount"]["amount"], account.exponent)

    def _debtor(self, iban: str) -> Account:
        for account in self._book.accounts.values():
            if account.details["iban"] == iban:
                return account
        raise _wrong("debtorAccount", "Not an account of yours")

    def execute(self, payout: Payout) -> bool:
        movement, account = payout.movement, payout.movement.debit
        assert account is not None
        if self._has_twin(payout):
            movement.booked, movement.status = self.instant(), FAIL
        elif movement.debit_minor > account.balance:
            payout.more["missing_funding"] = True
            return False
        else:
            # Only now among the bookings, which know no pending ones.
            self._book.add(movement)
            self._book.execute(movement, self.instant())
        return True

    def _has_twin(self, payout: Payout) -> bool:
        """Whether an earlier payment, not itself rejected, has the same content."""
        for other in self._made.values():
            if other is payout:
                return False
            if other.movement.status != FAIL and _content(other) == _content(payout):
                return True
        return False

    def status(self, payout: Payout) -> str:
        pending = "MissingFunding" if payout.more.get("missing_funding") else "PendingProcessing"
        return {BOOK: "Processed", FAIL: "Rejected", PDNG: pending}[payout.movement.status]

    def search(self, query: Mapping[str, str]) -> list[Payout]:
        """The newest first."""
        if unknown := set(query) - _FILTERS:
            raise WireError(f"Unknown filter {min(unknown)}")
        return [payout for payout in reversed(self._made.values()) if self._matches(payout, query)]

    def _matches(self, payout: Payout, query: Mapping[str, str]) -> bool:
        movement = payout.movement
        assert movement.debit is not None
        found = {
            "PaymentId": payout.payout_id,
            "Reference": movement.end_to_end_id,
            "AccountId": movement.debit.account_id,
        }
        return all(query.get(name) in (None, value) for name, value in found.items())

    def row(self, payout: Payout) -> JsonObject:
        movement, asked, status = payout.movement, payout.request, self.status(payout)
        account = movement.debit
        assert account is not None
        money = {"currency": movement.currency, "amount": rows.decimal(movement.debit_minor, movement.exponent)}
        processed = rows.moment(movement.booked) if movement.booked else None
        errors = [{"errorCode": "DuplicatePayment", "errorText": "Possible duplicate"}] if status == "Rejected" else []
        return {
            "paymentId": payout.payout_id,
            "transactionReference": movement.key.replace("-", "")[:16].upper(),
            "concurrencyToken": payout.payout_id.replace("-", "")[:16],
            "classification": "Outgoing",
            "status": status,
            "errors": errors,
            "processedTimestamp": processed,
            "latestStatusChangedTimestamp": processed or rows.moment(movement.created),
            "lastChangedTimestamp": processed or rows.moment(movement.created),
            "debtorInformation": {
                "accountId": account.account_id,
                "account": asked["debtorAccount"],
                "viban": None,
                "debitAmount": money,
                "debitValueDate": rows.midnight(self._book.booking_date(movement)),
                "debtorReference": movement.end_to_end_id,
            },
            "transfer": {
                # Empty until the payment is processed.
                "amount": money if status == "Processed" else {"currency": "", "amount": 0},
                "chargeBearer": asked.get("chargeBearer"),
                "remittanceInformation": asked.get("remittanceInformation"),
                "creditorAccount": asked.get("creditorAccount"),
                "creditorName": asked.get("creditorName"),
            },
            "creditorInformation": None,
        }


def _content(payout: Payout) -> tuple[Any, ...]:
    """What makes two payments the same in the bank's eyes."""
    names = ("creditorId", "creditorName", "creditorAddress", "debtorReference", "requestedExecutionDate")
    movement = payout.movement
    return (movement.currency, movement.debit_minor, *(payout.request.get(name) for name in names))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(str(line) for line in value.values() if line)
    return str(value or "")


def _wrong(name: str, text: str) -> Refused:
    body = [{"propertyName": name, "errorCode": "400", "errorDescription": text}]
    return Refused(400, body, ["protocol_errors"])
