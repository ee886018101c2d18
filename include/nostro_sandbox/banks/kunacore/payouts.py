"""Kuna Core's payouts: transfers between wallets and withdrawals to addresses outside."""

import uuid
from collections.abc import Collection
from typing import Any

from nostro_sandbox.bank import Refused
from nostro_sandbox.banks.kunacore import rows
from nostro_sandbox.books import BOOK, FAIL, PDNG, Account, Movement
from nostro_sandbox.payouts import Payout, minor_of_text
from nostro_sandbox.payouts import Payouts as AnyPayouts
from nostro_sandbox.wire import JsonObject, WireError, require_fields

_TRANSFER = {"fromWalletId": str, "toWalletId": str, "amount": str, "externalId": str, "asset": str}
_WITHDRAWAL = {
    "walletId": str,
    "paymentMethodCode": str,
    "amount": str,
    "asset": str,
    "externalId": str,
    "fields": dict,
}
_MORE = {"callbackUrl": str}


class Payouts(AnyPayouts):
    """The documents promise nothing for a repeated externalId: it makes a second operation."""

    def status(self, payout: Payout) -> str:
        pending = "Processing" if payout.under_way else "Created"
        return {BOOK: "Completed", FAIL: "Declined", PDNG: pending}[payout.movement.status]

    def status_of(self, movement: Movement) -> str:
        payout = self.find(movement.key)
        return self.status(payout) if payout else str(movement.details["status"])

    def transfer(self, body: JsonObject, known_wallets: Collection[str]) -> Movement:
        require_fields(body, _TRANSFER, _MORE)
        source, target = body["fromWalletId"], body["toWalletId"]
        if source == target:
            raise WireError("fromWalletId and toWalletId are the same")
        if target not in known_wallets:
            raise _no_wallet()
        debit = self._wallet(source, body["asset"])
        credit = self._book.accounts.get(target)
        if credit is not None and credit.currency != debit.currency:
            # Its wallet in this asset is none of those in our books.
            credit = None
        return self._pay("Transfer", debit, credit, target, body)

    def withdraw(self, body: JsonObject, known_wallets: Collection[str]) -> Movement:
        require_fields(body, _WITHDRAWAL, _MORE)
        fields = body["fields"]
        if not body["paymentMethodCode"] or not fields or not all(_is_text(value) for value in fields.values()):
            raise WireError("paymentMethodCode and fields say where to: neither may be empty")
        if body["walletId"] not in known_wallets:
            raise _no_wallet()
        debit = self._wallet(body["walletId"], body["asset"])
        return self._pay("Withdraw", debit, None, str(uuid.uuid4()), body)

    def _wallet(self, wallet_id: str, asset: str) -> Account:
        account = self._book.accounts.get(wallet_id)
        if account is None or account.currency != asset:
            raise _no_wallet()
        return account

    def _pay(self, kind: str, debit: Account, credit: Account | None, outside: str, body: JsonObject) -> Movement:
        if not body["externalId"]:
            raise WireError("externalId must not be empty")
        amount = minor_of_text(body["amount"], debit.exponent)
        movement = self.ordered(
            kind,
            debit,
            amount,
            credit=credit,
            key=str(uuid.uuid4()),
            end_to_end_id=body["externalId"],
            details={"outside": outside},
        )
        self._book.add(movement)
        payout = Payout(movement.key, movement, body)
        self.take(payout)
        self.begin(payout)
        return movement


def _no_wallet() -> Refused:
    return Refused(404, rows.errors("WALLET_NOT_FOUND", "Wallet not found"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
