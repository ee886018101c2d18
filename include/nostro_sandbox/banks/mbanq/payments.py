"""Mbanq's payments: drafts, execution, and nothing against a repetition."""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from nostro_sandbox.bank import Refused
from nostro_sandbox.banks.mbanq import rows
from nostro_sandbox.books import BOOK, FAIL, PDNG, Account, Book
from nostro_sandbox.payouts import Payout, Payouts, minor_of_number
from nostro_sandbox.wire import JsonObject, WireError, require_fields

_RAILS = ("ACH", "SAMEDAYACH", "WIRE", "SWIFT", "INTERNAL", "FXPAY", "CARD")
_REQUIRED = {
    "amount": object,
    "currency": str,
    "paymentRail": str,
    "paymentType": str,
    "originator": dict,
    "recipient": dict,
}
_OPTIONAL = {"correlationId": str, "externalId": str, "reference": object}
_RECIPIENT = {"name": str, "accountNumber": str}
_RECIPIENT_MORE = {"accountType": str, "recipientType": str, "address": dict, "bankInformation": dict}
_ADDRESS_MORE = {"line1": str, "line2": str, "city": str, "stateCode": str, "postalCode": str}
_BANK_MORE = {"routingNumber": str, "swiftCode": str, "agent": object}
# By rail, what the recipient's bank is known by.
_BANK_CODES = {
    "ACH": ("routingNumber", re.compile(r"\d{9}")),
    "SAMEDAYACH": ("routingNumber", re.compile(r"\d{9}")),
    "WIRE": ("routingNumber", re.compile(r"\d{9}")),
    "SWIFT": ("swiftCode", re.compile(r"[A-Z0-9]{8}(?:[A-Z0-9]{3})?")),
}
_FILTERS = ("externalId", "clientId", "status", "paymentRail", "paymentType")
_PAGING = ("limit", "offset", "orderBy", "sortOrder", "tenantIdentifier")


class Payments(Payouts):
    def __init__(self, book: Book, now: Callable[[], float], first_key: int) -> None:
        super().__init__(book, now)
        self._next_key = first_key

    def create(self, body: JsonObject) -> Payout:
        """A draft."""
        account, minor = self._checked(body)
        key, self._next_key = self._next_key, self._next_key + 1
        external_id = body.get("externalId")
        movement = self.ordered(
            "withdrawal",
            account,
            minor,
            key=str(key),
            end_to_end_id=external_id,
            counterparty=body["recipient"]["name"],
            text=_text(body.get("reference")),
            # It stands in the transfer object of a statement's row, which is there for an externalId only.
            value_days=None if external_id is None else 0,
            details={"correlation_id": body.get("correlationId") or str(uuid.uuid4())},
        )
        payout = Payout(str(rows.transfer_id(movement)), movement, body)
        self.take(payout)
        return payout

    def submit(self, payout: Payout) -> None:
        if payout.begun:
            message = f"Payment {payout.payout_id} is {self.status(payout)}, not DRAFT"
            raise Refused(403, rows.fineract_error(403, message, "error.msg.payment.not.in.draft.state"))
        self.begin(payout)

    def _checked(self, body: JsonObject) -> tuple[Account, int]:
        require_fields(body, _REQUIRED, _OPTIONAL)
        require_fields(body["originator"], {"accountId": str})
        self._check_recipient(body["recipient"])
        if body["paymentRail"] not in _RAILS:
            raise WireError(f"paymentRail is none of {', '.join(_RAILS)}")
        if body["paymentType"] != "CREDIT":
            raise WireError("Only a paymentType of CREDIT is emulated: nothing is collected")
        if (code := _BANK_CODES.get(body["paymentRail"])) is not None:
            name, form = code
            if not form.fullmatch((body["recipient"].get("bankInformation") or {}).get(name) or ""):
                raise WireError(f"{body['paymentRail']} needs a bankInformation.{name}")
        account = self._book.accounts.get(body["originator"]["accountId"])
        if account is None:
            message = f"Savings account with identifier {body['originator']['accountId']} does not exist"
            raise Refused(404, rows.fineract_error(404, message, "error.msg.resource.not.found"))
        if body["currency"] != account.currency:
            raise WireError("The currency is not that of the account")
        return account, minor_of_number(body["amount"], account.exponent)

    def _check_recipient(self, recipient: JsonObject) -> None:
        require_fields(recipient, _RECIPIENT, _RECIPIENT_MORE)
        if recipient.get("address") is not None:
            require_fields(recipient["address"], {"countryCode": str}, _ADDRESS_MORE)
        if recipient.get("bankInformation") is not None:
            require_fields(recipient["bankInformation"], {}, _BANK_MORE)

    def execute(self, payout: Payout) -> bool:
        movement, account = payout.movement, payout.movement.debit
        assert account is not None
        if movement.debit_minor > account.balance:
            movement.booked, movement.status = self.instant(), FAIL
        else:
            # Only now in the statement: a payment that fails never was a transaction.
            self._book.add(movement)
            self._book.execute(movement, self.instant())
        return True

    def status(self, payout: Payout) -> str:
        if not payout.begun:
            return "DRAFT"
        pending = "EXECUTION_PROCESSING" if payout.under_way else "AML_SCREENING"
        return {BOOK: "EXECUTION_SUCCESS", FAIL: "EXECUTION_FAILURE", PDNG: pending}[payout.movement.status]

    def search(self, query: Mapping[str, str]) -> list[Payout]:
        if unknown := set(query) - {*_FILTERS, *_PAGING}:
            raise WireError(f"Unknown parameter '{min(unknown)}'")
        if query.get("orderBy", "id") != "id":
            raise WireError("The payments are ordered by id only")
        found = [payout for payout in self.made() if self._matches(payout, query)]
        return found[::-1] if query.get("sortOrder", "DESC").upper() == "DESC" else found

    def _matches(self, payout: Payout, query: Mapping[str, str]) -> bool:
        assert payout.movement.debit is not None
        known = {**payout.request, "clientId": payout.movement.debit.owner, "status": self.status(payout)}
        return all(known.get(name) == query[name] for name in _FILTERS if name in query)

    def answer(self, payout: Payout) -> JsonObject:
        assert payout.movement.debit is not None
        return {
            "clientId": int(payout.movement.debit.owner),
            "id": payout.payout_id,
            "resourceId": int(payout.payout_id),
            "resourceIdentifier": payout.payout_id,
        }

    def row(self, payout: Payout) -> JsonObject:
        movement, asked = payout.movement, payout.request
        account = movement.debit
        assert account is not None
        return {
            "id": int(payout.payout_id),
            "clientId": int(account.owner),
            "amount": rows.decimals(movement.debit_minor, movement.exponent),
            "currency": account.currency,
            "currencyData": rows.currency(account),
            "paymentRail": asked["paymentRail"],
            "paymentType": asked["paymentType"],
            "status": self.status(payout),
            "originator": {**asked["originator"], "name": "Nostro Trading", "recipientType": "BUSINESS"},
            "recipient": asked["recipient"],
            "correlationId": movement.details["correlation_id"],
            "externalId": asked.get("externalId"),
            "reference": asked.get("reference"),
            "createdAt": movement.created.isoformat(timespec="seconds"),
            "executedAt": movement.instant.isoformat(timespec="seconds") if movement.status == BOOK else None,
        }


def _text(value: Any) -> str:
    """A reference is one line, or a list of them."""
    return " ".join(str(line) for line in value) if isinstance(value, list) else str(value or "")
