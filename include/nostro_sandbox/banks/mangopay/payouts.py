"""MANGOPAY's payouts: made once under a key, executed a moment later."""

import json
import re
import time
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from nostro_sandbox import payouts
from nostro_sandbox.bank import Refused
from nostro_sandbox.banks.mangopay import rows
from nostro_sandbox.books import BOOK, FAIL, Account, Book
from nostro_sandbox.payouts import Payout
from nostro_sandbox.wire import JsonObject, WireError

_KEY_LIFETIME = 86400
_KEY = re.compile(r"[A-Za-z0-9-]{16,36}")
# An id of the bank's own, today's or the older numeric sort: never an IBAN.
_CREDITOR = re.compile(r"(bankacc|rec)_[A-Za-z0-9_]+|\d{5,}")
_MODES = (None, "STANDARD", "INSTANT_PAYMENT", "INSTANT_PAYMENT_ONLY", "RTGS_PAYMENT")


class Payouts(payouts.Payouts):
    def __init__(self, book: Book, now: Callable[[], float]) -> None:
        super().__init__(book, now)
        self._responses: dict[str, tuple[float, JsonObject]] = {}

    def check_key(self, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise WireError("The Idempotency-Key must have 16 to 36 characters of A-Z, a-z, 0-9 and -")
        if self.kept(key) is not None:
            message = "A resource has already been created with this Idempotency Key"
            raise Refused(409, rows.error("idempotent_creation_conflict", message, self._now()))

    def kept(self, key: str) -> JsonObject | None:
        at, recorded = self._responses.get(key, (0.0, {}))
        return recorded if time.time() < at + _KEY_LIFETIME else None

    def keep(self, key: str, request: Request, response: Response) -> None:
        """Keep the answer whatever it was: the key is used up even by a failure."""
        recorded = {
            "StatusCode": str(response.status_code),
            "ContentLength": str(len(bytes(response.body))),
            "ContentType": "application/json",
            "Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self._now())),
            "RequestURL": str(request.url),
            "Resource": json.loads(bytes(response.body)),
        }
        self._responses[key] = (time.time(), recorded)

    def pay(self, body: JsonObject, key: str | None) -> JsonObject:
        account, debited, fees = self._checked(body)
        covered = debited <= account.balance
        movement = self.ordered(
            "PAYOUT",
            account,
            debited,
            credit_minor=debited - fees,
            key=f"po_m_{rows.ulid(Random())}",
            end_to_end_id=body.get("Tag"),
            details={"request": body, "end_to_end": uuid.uuid4().hex, "covered": covered},
        )
        self._book.add(movement)
        if covered:
            account.balance -= debited
        named = {"bank_reference": body["BankAccountId"], "bank_wire_ref": body.get("BankWireRef")}
        payout = Payout(movement.key, movement, body, key, named)
        self.take(payout)
        self.begin(payout)
        return rows.payout_row(movement)

    def _checked(self, body: JsonObject) -> tuple[Account, int, int]:
        errors = {}
        account = self._book.accounts.get(str(body.get("DebitedWalletId")))
        if account is None:
            errors["DebitedWalletId"] = "The DebitedWalletId is required and must be a wallet"
        if account is None or body.get("AuthorId") != account.owner:
            errors["AuthorId"] = "The AuthorId must be the owner of the wallet"
        if not _CREDITOR.fullmatch(str(body.get("BankAccountId"))):
            errors["BankAccountId"] = "The BankAccountId must be the id of a bank account or recipient"
        for name, low in (("DebitedFunds", 1), ("Fees", 0)):
            if account is None or not _is_money(body.get(name), account.currency, low):
                errors[name] = "A whole number of minor units in the currency of the wallet is required"
        for name in ("BankWireRef", "Tag"):
            text = body.get(name) or ""
            if not isinstance(text, str) or len(text) > 255:
                errors[name] = "A text of at most 255 characters"
        if body.get("PayoutModeRequested") not in _MODES:
            errors["PayoutModeRequested"] = "Not a payout mode"
        if errors or account is None:
            message = "One or several required parameters are missing or incorrect"
            raise Refused(400, rows.error("param_error", message, self._now(), errors), ["protocol_errors"])
        debited, fees = body["DebitedFunds"]["Amount"], body["Fees"]["Amount"]
        if fees >= debited:
            errors["Fees"] = "The fees eat up the payout"
            raise Refused(400, rows.error("param_error", errors["Fees"], self._now(), errors))
        return account, debited, fees

    def execute(self, payout: Payout) -> bool:
        # The wallet was debited when the payout was taken in.
        movement = payout.movement
        movement.booked = self.instant()
        movement.status = BOOK if movement.details["covered"] else FAIL
        return True

    def status(self, payout: Payout) -> str:
        return rows.STATUS[payout.movement.status]


def _is_money(value: Any, currency: str, low: int) -> bool:
    if not isinstance(value, dict) or set(value) != {"Currency", "Amount"}:
        return False
    amount = value["Amount"]
    whole = isinstance(amount, int) and not isinstance(amount, bool)
    return whole and amount >= low and value["Currency"] == currency
