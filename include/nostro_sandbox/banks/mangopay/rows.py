"""MANGOPAY's rows: whole minor units, unix seconds, pages described in the headers."""

import uuid
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from nostro_sandbox.books import BOOK, FAIL, PDNG, Account, Movement
from nostro_sandbox.wire import JsonObject, json_response, query_int

STATUS = {BOOK: "SUCCEEDED", PDNG: "CREATED", FAIL: "FAILED"}
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FOUNDED = 1700000000  # when the users and wallets were made


def page(request: Request, items: Sequence[Any], row: Any = lambda item: item) -> Response:
    wanted = query_int(request, "page", 1, low=1)
    size = query_int(request, "per_page", 10, low=1, high=100)
    pages = -(-len(items) // size)
    headers = {"x-number-of-pages": str(pages), "x-number-of-items": str(len(items))}
    links = {"first": 1, "prev": wanted - 1, "next": wanted + 1, "last": pages}
    headers["link"] = ", ".join(
        f'<{request.url.include_query_params(page=number)}>; rel="{name}"'
        for name, number in links.items()
        if 1 <= number <= pages
    )
    return json_response([row(item) for item in items[(wanted - 1) * size : wanted * size]], headers=headers)


def user_row(user_id: str) -> JsonObject:
    return {
        "Id": user_id,
        "PersonType": "LEGAL",
        "LegalPersonType": "BUSINESS",
        "Name": f"Nostro Merchant {user_id[-4:]}",
        "Email": f"{user_id[-6:].lower()}@nostro-sandbox.example",
        "KYCLevel": "REGULAR",
        "UserCategory": "OWNER",
        "UserStatus": "ACTIVE",
        "Tag": None,
        "CreationDate": _FOUNDED,
    }


def wallet_row(account: Account) -> JsonObject:
    return {
        "Description": f"Nostro {account.currency}",
        "Owners": [account.owner],
        "Id": account.account_id,
        "Balance": money(account.currency, account.balance),
        "Currency": account.currency,
        "FundsType": "DEFAULT",
        "Tag": None,
        "CreationDate": _FOUNDED,
    }


def bank_account_row(key: str, user_id: str) -> JsonObject:
    return {
        "Id": key,
        "UserId": user_id,
        "Type": "IBAN",
        "OwnerName": "Nordwind Handels GmbH",
        "IBAN": "DE89370400440532013000",
        "BIC": "COBADEFFXXX",
        "Active": True,
        "Tag": None,
        "CreationDate": _FOUNDED,
    }


def money(currency: str, minor: int) -> JsonObject:
    return {"Currency": currency, "Amount": minor}


def parties(movement: Movement) -> set[str]:
    return {account.owner for account in (movement.debit, movement.credit) if account is not None}


def type_of(movement: Movement) -> str:
    """A refund of money in goes out, and the other way round; a transfer stays a transfer."""
    if movement.undoes is None:
        return movement.kind
    return {"PAYIN": "PAYOUT", "PAYOUT": "PAYIN", "TRANSFER": "TRANSFER"}[movement.kind]


def facet(movement: Movement, name: str) -> str:
    if name == "Status":
        return STATUS[movement.status]
    if name == "Type":
        return type_of(movement)
    return "REFUND" if movement.undoes else "REGULAR"


def transaction_row(movement: Movement) -> JsonObject:
    author = movement.debit or movement.credit
    assert author is not None
    executed = movement.booked is not None and movement.status == BOOK
    code, message = {BOOK: ("000000", "Success"), FAIL: ("001001", "Unsufficient wallet balance")}.get(
        movement.status, (None, None)
    )
    return {
        "Id": movement.key,
        "Tag": movement.end_to_end_id,
        "CreationDate": int(movement.created.timestamp()),
        "AuthorId": author.owner,
        "CreditedUserId": movement.credit.owner if movement.credit else None,
        "DebitedFunds": money(movement.currency, movement.debit_minor),
        "CreditedFunds": money(movement.currency, movement.credit_minor),
        "Fees": money(movement.currency, movement.debit_minor - movement.credit_minor),
        "Status": STATUS[movement.status],
        "ResultCode": code,
        "ResultMessage": message,
        "ExecutionDate": int(movement.booked.timestamp()) if executed and movement.booked else None,
        "Type": type_of(movement),
        "Nature": facet(movement, "Nature"),
        "CreditedWalletId": movement.credit.account_id if movement.credit else None,
        "DebitedWalletId": movement.debit.account_id if movement.debit else None,
        "DepositId": None,
    }


def payout_row(movement: Movement) -> JsonObject:
    asked = movement.details.get("request", {})
    row = transaction_row(movement)
    row.pop("DepositId")
    return {
        **row,
        "PaymentType": "BANK_WIRE",
        "BankAccountId": asked.get("BankAccountId"),
        "BankWireRef": asked.get("BankWireRef"),
        "ModeRequested": asked.get("PayoutModeRequested"),
        "ModeApplied": "STANDARD" if movement.status == BOOK else "PENDING_RESPONSE",
        "FallbackReason": None,
        "EndToEndId": movement.details.get("end_to_end"),
    }


def error(name: str, message: str, now: float, errors: Mapping[str, str] | None = None) -> JsonObject:
    return {"Message": message, "Type": name, "Id": str(uuid.uuid4()), "Date": int(now), "errors": errors}


def ulid(rng: Random) -> str:
    return "01" + "".join(rng.choice(_CROCKFORD) for _ in range(24))
