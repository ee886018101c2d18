"""Kuna Core's rows and the fields of its bodies: decimal strings, ISO 8601, one set of fields for all operations."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from nostro_sandbox.books import BOOK, Movement
from nostro_sandbox.wire import JsonObject, WireError, decimal_text, trimmed

OPERATION_FILTERS = {
    "type": str,
    "status": str,
    "walletId": str,
    "externalId": str,
    "targetAsset": str,
    "sourceAsset": str,
    "dateFrom": str,
    "dateTo": str,
}
CUSTOMER_FILTERS = {
    "email": str,
    "walletId": str,
    "phoneNumber": str,
    "fullName": str,
    "externalId": str,
    "referralId": str,
    "createdFrom": str,
    "createdTo": str,
    "take": int,
    "skip": int,
}
NEW_CUSTOMER = {
    "email": str,
    "firstName": str,
    "lastName": str,
    "country": str,
    "verificationDocumentId": str,
    "residenceAddress": str,
}
NEW_CUSTOMER_MORE = {"phoneNumber": str, "comment": str, "externalId": str, "referralId": str, "itn": str}


def operation(movement: Movement, status: str) -> JsonObject:
    amount = trimmed(decimal_text(movement.credit_minor, movement.exponent))
    transfer = movement.kind == "Transfer"
    debited = movement.debit.account_id if movement.debit else movement.details["outside"]
    credited = movement.credit.account_id if movement.credit else movement.details["outside"]
    gives, takes = movement.kind != "Deposit", movement.kind != "Withdraw"
    return {
        "id": movement.key,
        "externalId": movement.end_to_end_id,
        "walletId": credited if movement.debit is None else debited,
        "type": movement.kind,
        "status": status,
        "sourceAsset": movement.currency if gives else None,
        "sourceAmount": amount if gives else None,
        "targetAsset": movement.currency if takes else None,
        "targetAmount": amount if takes else None,
        "asset": movement.currency,
        "amount": amount,
        "processedAmount": amount if movement.status == BOOK else None,
        "fee": "0",
        "feeAsset": movement.currency,
        "fromWalletId": debited if transfer else None,
        "toWalletId": credited if transfer else None,
        "createdAt": iso(movement.created),
        "updatedAt": iso(movement.instant),
        "completedAt": iso(movement.booked) if movement.booked and movement.status == BOOK else None,
    }


def matches(row: JsonObject, body: JsonObject, names: Sequence[str]) -> bool:
    return all(row[name] == body[name] for name in names)


def errors(code: str, message: Any) -> JsonObject:
    return {"errors": [{"code": code, "message": message}]}


def random_id(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def instant_field(body: JsonObject, name: str) -> datetime | None:
    """ISO 8601; a bare date is its midnight in UTC."""
    if body.get(name) is None:
        return None
    try:
        moment = datetime.fromisoformat(body[name])
    except ValueError:
        raise WireError(f"'{name}' must be a valid ISO 8601 date string") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
