"""A bank's API over one scripted bank: rows in its own wrapping, page by page."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from nostro.banks.banking_circle.api import BankingCircleApi
from nostro.banks.kunacore.api import KunaCoreApi
from nostro.banks.m2p.api import M2pApi
from nostro.banks.mangopay.api import MangopayApi
from nostro.banks.mbanq.api import MbanqApi

ACCOUNT = "acc-1"
APIS: dict[str, Callable[[Any], Any]] = {
    "mbanq": MbanqApi,
    "m2p": lambda caller: M2pApi(caller, ("e1",)),
    "mangopay": lambda caller: MangopayApi(caller, "cl1"),
    "kunacore": KunaCoreApi,
    "banking_circle": BankingCircleApi,
}
WRAPPINGS: dict[str, Callable[[list[Any], list[Any]], Any]] = {
    "mbanq": lambda rows, all_rows: {"totalFilteredRecords": len(all_rows), "pageItems": rows},
    "m2p": lambda rows, all_rows: {"result": rows, "pagination": None},
    "mangopay": lambda rows, all_rows: rows,
    "kunacore": lambda rows, all_rows: {"data": rows},
    "banking_circle": lambda rows, all_rows: {"result": rows, "pageInfo": {"currentPage": 1, "pageSize": 5000}},
}


@pytest.fixture(scope="session")
def rows():
    """One documented row of each bank, an incoming 12.60 of 31 January 2024, made anew each time."""
    made = {
        "mbanq": {
            "id": 501,
            "transactionType": {"id": 1, "code": "savingsAccountTransactionType.deposit", "deposit": True},
            "date": [2024, 1, 31],
            "currency": {"code": "EUR", "decimalPlaces": 2},
            "amount": 12.60,
            "runningBalance": 100,
            "reversed": False,
            "transfer": {"externalId": "e2e-1", "debtor": {"name": "Bert", "identifier": "iban:X"}},
        },
        "m2p": {
            "amount": "12.60",
            "transactionType": "CREDIT",
            "txnOrigin": "WEB",
            "transactionStatus": "SUCCESS",
            "time": "2024-01-31T10:00:00.000Z",
            "merchantName": "Bert",
            "externalTransactionId": "x-501",
            "crDr": "C",
            "txnRef": "e2e-1",
            "accountId": ACCOUNT,
            "transactionCurrencyCode": "978",
        },
        "mangopay": {
            "Id": "xfer_m_1",
            "Tag": "e2e-1",
            "CreationDate": 1706695200,
            "ExecutionDate": 1706695201,
            "DebitedFunds": {"Currency": "EUR", "Amount": 1270},
            "CreditedFunds": {"Currency": "EUR", "Amount": 1260},
            "Fees": {"Currency": "EUR", "Amount": 10},
            "Status": "SUCCEEDED",
            "ResultMessage": "Success",
            "Type": "TRANSFER",
            "Nature": "REGULAR",
            "CreditedWalletId": ACCOUNT,
            "DebitedWalletId": "wlt_2",
        },
        "kunacore": {
            "id": "op-1",
            "externalId": "e2e-1",
            "walletId": ACCOUNT,
            "type": "Deposit",
            "status": "Completed",
            "asset": "EUR",
            "amount": "12.60",
            "processedAmount": "12.00",
            "fee": "0.60",
            "sourceAsset": None,
            "sourceAmount": None,
            "createdAt": "2024-01-30T10:00:00.000Z",
            "completedAt": "2024-01-31T10:00:00.000Z",
        },
        "banking_circle": {
            "bookingId": "b-1",
            "accountId": ACCOUNT,
            "bookingDate": "2024-01-31T00:00:00+00:00",
            "valueDate": "2024-02-01T00:00:00+00:00",
            "amount": {"currency": "EUR", "amount": 12.60},
            "creditDebitIndicator": "CRDT",
            "details": "for rent",
            "endToEndId": "e2e-1",
            "counterpartyName": "Bert",
            "counterpartyAccount": {"account": "DE02", "financialInstitution": "X", "country": "DE"},
            "status": "Processed",
        },
    }
    return lambda bank, **changes: {**json.loads(json.dumps(made[bank])), **changes}


@pytest.fixture(scope="session")
def entries_of(caller_of):
    """The entries of 2024 that a bank's API makes of rows, each on a page of its own if `one_by_one`."""

    def make(
        bank: str,
        *rows: Any,
        pending: bool = True,
        one_by_one: bool = False,
        start: date = date(2024, 1, 1),
        end: date = date(2024, 12, 31),
    ) -> list[Any]:
        pages = [[row] for row in rows] if one_by_one else [list(rows)]
        asked: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            # What is under way, and the account, whose currency it lacks.
            if bank == "mbanq" and "transactions" not in request.url.path:
                account = {"currency": {"code": "EUR"}, "summary": {}}
                body = WRAPPINGS[bank]([], []) if request.url.path.endswith("pendingTransaction") else account
                return httpx.Response(200, json=body)
            asked.append(request)
            page = pages[len(asked) - 1] if len(asked) <= len(pages) else []
            return httpx.Response(
                200,
                content=json.dumps(WRAPPINGS[bank](page, list(rows))),
                headers={"x-number-of-pages": str(len(pages))},
            )

        api = APIS[bank](caller_of(answer))
        return list(api.statement_entries(ACCOUNT, start, end, pending))

    return make
