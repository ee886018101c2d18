"""M2P's payouts: money out of an entity's wallet, once for each txnRef."""

import re
from collections.abc import Callable

from nostro_sandbox.bank import Refused
from nostro_sandbox.banks.m2p import rows
from nostro_sandbox.books import Account, Book, Movement
from nostro_sandbox.payouts import Payout, minor_of_text
from nostro_sandbox.payouts import Payouts as AnyPayouts
from nostro_sandbox.wire import JsonObject, WireError

PAYOUT_FIELDS = {"entityId": str, "amount": str, "txnRef": str, "transactionType": str, "txnOrigin": str}
_REFERENCE = re.compile(r"[a-zA-Z0-9-]+")
# The documents list neither the types nor the origins.
_WORD = re.compile(r"[A-Z0-9_]+")
_FIRST_KEY = 30_000_000_000


class Payouts(AnyPayouts):
    def __init__(self, book: Book, now: Callable[[], float]) -> None:
        super().__init__(book, now)
        self._keys: dict[str, str] = {}  # txnRef: our key

    def status(self, payout: Payout) -> str:
        return rows.STATUS[payout.movement.status]

    def key_of(self, reference: str) -> str | None:
        return self._keys.get(reference)

    def pay(self, body: JsonObject, account: Account) -> Movement:
        self._check(body)
        amount = minor_of_text(body["amount"], account.exponent)
        movement = self.ordered(
            body["transactionType"],
            account,
            amount,
            key=str(_FIRST_KEY + len(self._keys) * 37),
            end_to_end_id=body["txnRef"],
            details={"origin": body["txnOrigin"]},
        )
        self._book.add(movement)
        self._keys[body["txnRef"]] = movement.key
        payout = Payout(movement.key, movement, body, body["txnRef"])
        self.take(payout)
        self.begin(payout)
        return movement

    def _check(self, body: JsonObject) -> None:
        if not _REFERENCE.fullmatch(body["txnRef"]):
            raise WireError("txnRef may hold letters, digits and - only")
        for name in ("transactionType", "txnOrigin"):
            if not _WORD.fullmatch(body[name]):
                raise WireError(f"'{name}' is not a word in capitals")
        if body["transactionType"] in ("CREDIT", "REFUND"):
            raise WireError("These would bring money in, which is not emulated")
        if body["txnRef"] in self._keys:
            # The pages on single calls spell the name unlike the page on errors. The number is made up.
            problem = rows.problem(409, "Duplicate txnRef", "error.business")
            raise Refused(409, {**problem, "businessCode": "PPCUST_061"})
