"""Pays at a bank with bare httpx, by the body its own page shows."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from sandbox_client import Sandbox, until

TRANSACTIONS = "/prepaid/customer/v1/transactions"
SINGLES = "/api/v1/payments/singles"
_WAITING_FOR_SOMEBODY = ("DRAFT", "MissingFunding")


def unique() -> str:
    return f"E2E-{time.monotonic_ns()}"


@dataclass
class Payer:
    """Pays from the first account of a bank."""

    sandbox: Sandbox
    bank: str

    def __post_init__(self) -> None:
        self.client = self.sandbox.client(self.bank)
        self.headers = self.sandbox.headers(self.bank)
        # What an earlier test has paid must not move the books in this one.
        until(lambda: not self._under_way())
        self.account = self.sandbox.truth(self.bank)["accounts"][0]
        self.path = {
            "mbanq": "/v1/payments",
            "m2p": TRANSACTIONS + "/",
            "kunacore": "/v2/withdraw/crypto",
            "banking_circle": SINGLES,
        }[self.bank]

    def _under_way(self) -> list[dict[str, Any]]:
        payouts = self.sandbox.truth(self.bank)["payouts"]
        return [p for p in payouts if p["book_status"] == "PDNG" and p["status"] not in _WAITING_FOR_SOMEBODY]

    def body(self, reference: str, amount: int = 1) -> dict[str, Any]:
        return getattr(self, f"_{self.bank}")(reference, amount)  # type: ignore[no-any-return]

    def _mbanq(self, reference: str, amount: int) -> dict[str, Any]:
        recipient = {
            "name": "Jane Smith",
            "accountNumber": "987654321",
            "accountType": "SAVINGS",
            "recipientType": "INDIVIDUAL",
            "address": {"line1": "789 Oak Ave", "city": "Town", "stateCode": "CA", "countryCode": "US"},
            "bankInformation": {"routingNumber": "321070007"},
        }
        return {
            "amount": amount,
            "currency": self.account["currency"],
            "paymentRail": "ACH",
            "paymentType": "CREDIT",
            "originator": {"accountId": self.account["account_id"]},
            "recipient": recipient,
            "externalId": reference,
            "reference": "INV 1",
        }

    def _m2p(self, reference: str, amount: int) -> dict[str, Any]:
        return {
            "entityId": self.account["owner"],
            "amount": f"{amount}.00",
            "txnRef": reference,
            "transactionType": "DEBIT",
            "txnOrigin": "WEB",
        }

    def _kunacore(self, reference: str, amount: int) -> dict[str, Any]:
        # A whole bitcoin is much.
        return {
            "walletId": self.account["account_id"],
            "paymentMethodCode": "BTC",
            "amount": f"{amount}" if amount > 1 else "0.00000100",
            "asset": self.account["currency"],
            "externalId": reference,
            "fields": {"address": "bc1qexample"},
        }

    def _banking_circle(self, reference: str, amount: int) -> dict[str, Any]:
        iban = self.client.get(f"/api/v1/accounts/{self.account['account_id']}", headers=self.headers).json()["ibans"][
            0
        ]
        return {
            "requestedExecutionDate": datetime.now(UTC).date().isoformat(),
            "debtorAccount": {"account": iban, "financialInstitution": "BCIRLULL", "country": "LU"},
            "debtorReference": reference,
            "currencyOfTransfer": self.account["currency"],
            "amount": {"currency": self.account["currency"], "amount": amount},
            "chargeBearer": "SHA",
            "remittanceInformation": {"line1": "INV 1"},
            "creditorAccount": {"account": "DE89370400440532013000", "country": "DE"},
            "creditorName": "Nordwind",
        }

    def post(self, body: dict[str, Any], path: str | None = None, **headers: str) -> httpx.Response:
        return self.client.post(path or self.path, json=body, headers={**self.headers, **headers})

    def get(self, path: str) -> Any:
        answer = self.client.get(path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def payouts(self, reference: str) -> list[dict[str, Any]]:
        return [p for p in self.sandbox.truth(self.bank)["payouts"] if p["end_to_end_id"] == reference]

    def balance(self) -> int:
        accounts = self.sandbox.truth(self.bank)["accounts"]
        return next(int(a["balance_minor"]) for a in accounts if a["account_id"] == self.account["account_id"])

    def operations(self, reference: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post({"externalId": reference}, "/v2/operation/find").json()["data"]
        return found
