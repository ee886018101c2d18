"""What the banks' statements say, read off the wire, is what is in their books."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sandbox_client import BANKS, Sandbox

# account, key, booking date, value date, credit or debit, minor units, end-to-end id
Entry = tuple[str, str, str, str | None, str, int, str | None]
FIELDS = ("account_id", "entry_key", "booking_date", "value_date", "credit_debit", "amount_minor", "end_to_end_id")


def exact(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return json.loads(response.content, parse_float=Decimal, parse_int=Decimal)


def minor(value: Any, exponent: int) -> int:
    scaled = Decimal(value).scaleb(exponent)
    assert scaled == int(scaled)
    return int(scaled)


def mbanq_date(value: Any) -> str:
    if isinstance(value, dict):
        value = value["date"]
    return value if isinstance(value, str) else date(*map(int, value)).isoformat()


def read_mbanq(sandbox: Sandbox) -> Iterator[Entry]:
    headers, client = sandbox.headers("mbanq"), sandbox.client("mbanq")
    for owner in exact(client.get("/v1/clients", headers=headers))["pageItems"]:
        for account in exact(client.get(f"/v1/clients/{owner['id']}/accounts", headers=headers))["savingsAccounts"]:
            offset, total = 0, 1
            while offset < total:
                query = {"offset": offset, "limit": 7}
                path = f"/v1/savingsaccounts/{account['id']}/transactions"
                page = exact(client.get(path, params=query, headers=headers))
                total, offset = int(page["totalFilteredRecords"]), offset + 7
                for row in page["pageItems"]:
                    if row["reversed"]:
                        continue
                    kind, transfer = row["transactionType"], row.get("transfer")
                    booked = mbanq_date(row["date"])
                    yield (
                        str(account["id"]),
                        str(row["id"]),
                        booked,
                        transfer["valueDate"] if transfer else None,
                        "CRDT" if kind["deposit"] or kind["interestPosting"] else "DBIT",
                        minor(row["amount"], int(row["currency"]["decimalPlaces"])),
                        transfer["externalId"] if transfer else None,
                    )


def read_m2p(sandbox: Sandbox) -> Iterator[Entry]:
    headers, client = sandbox.headers("m2p"), sandbox.client("m2p")
    digits = {account["account_id"]: account["exponent"] for account in sandbox.truth("m2p")["accounts"]}
    for entity in sandbox.credentials["m2p"]["extra"]["entity_ids"]:
        page: list[Any] = [None]
        number = 0
        while page:
            query, body = {"pageNo": number, "pageSize": 9}, {"entityId": entity}
            path = "/prepaid/customer/v1/transactions/fetch-all"
            page = exact(client.post(path, params=query, json=body, headers=headers))["result"]
            number += 1
            for row in page:
                if row["transactionStatus"] == "FAILURE":
                    continue
                amount = minor(row["amount"], digits[row["accountId"]])
                assert (amount < 0) == (row["crDr"] == "D")
                booked = datetime.fromisoformat(row["time"]).astimezone(ZoneInfo("Asia/Kolkata")).date().isoformat()
                side = {"C": "CRDT", "D": "DBIT"}[row["crDr"]]
                key = row["externalTransactionId"]
                yield row["accountId"], key, booked, None, side, abs(amount), row["txnRef"]


def read_mangopay(sandbox: Sandbox) -> Iterator[Entry]:
    headers, client = sandbox.headers("mangopay"), sandbox.client("mangopay")
    home = f"/v2.01/{sandbox.credentials['mangopay']['login']}"
    for user in exact(client.get(f"{home}/users", headers=headers)):
        for wallet in exact(client.get(f"{home}/users/{user['Id']}/wallets/", headers=headers)):
            number, pages = 1, 1
            while number <= pages:
                query: dict[str, Any] = {
                    "page": number,
                    "per_page": 8,
                    "Sort": "CreationDate:ASC",
                    "Status": "SUCCEEDED",
                }
                answer = client.get(f"{home}/wallets/{wallet['Id']}/transactions", params=query, headers=headers)
                number, pages = number + 1, int(answer.headers["x-number-of-pages"])
                for row in exact(answer):
                    incoming = row["CreditedWalletId"] == wallet["Id"]
                    funds = row["CreditedFunds"] if incoming else row["DebitedFunds"]
                    assert row["DebitedFunds"]["Amount"] - row["Fees"]["Amount"] == row["CreditedFunds"]["Amount"]
                    executed = datetime.fromtimestamp(int(row["ExecutionDate"]), ZoneInfo("Europe/Luxembourg"))
                    booked = executed.date().isoformat()
                    side = "CRDT" if incoming else "DBIT"
                    yield wallet["Id"], row["Id"], booked, None, side, int(funds["Amount"]), row["Tag"]


def read_kunacore(sandbox: Sandbox) -> Iterator[Entry]:
    headers, client = sandbox.headers("kunacore"), sandbox.client("kunacore")
    digits = {"BTC": 8, "ETH": 18, "EUR": 2, "USDT": 6}
    for customer in exact(client.post("/v2/customer/find", json={"take": 50}, headers=headers))["data"]:
        wallet, skip = customer["walletId"], 0
        while True:
            query, body = {"skip": skip, "take": 11}, {"walletId": wallet, "status": "Completed"}
            rows = exact(client.post("/v2/operation/find", params=query, json=body, headers=headers))["data"]
            for row in rows:
                incoming = row["toWalletId"] == wallet if row["type"] == "Transfer" else row["type"] == "Deposit"
                booked = row["completedAt"][:10]
                side = "CRDT" if incoming else "DBIT"
                amount = minor(row["amount"], digits[row["asset"]])
                yield wallet, row["id"], booked, None, side, amount, row["externalId"]
            if len(rows) < 11:
                break
            skip += 11


def read_banking_circle(sandbox: Sandbox) -> Iterator[Entry]:
    headers, client = sandbox.headers("banking_circle"), sandbox.client("banking_circle")
    since = (datetime.now(UTC).date() - timedelta(days=40)).isoformat()
    for account in exact(client.get("/api/v1/accounts", headers=headers))["result"]:
        digits = {"JPY": 0, "KWD": 3}.get(account["currency"], 2)
        number, rows = 0, [None] * 13
        while len(rows) == 13:
            number += 1
            query: dict[str, Any] = {"AccountId": account["accountId"], "DateFrom": since}
            query |= {"PageNumber": number, "PageSize": 13}
            rows = exact(client.get("/api/v3/bookings", params=query, headers=headers))["result"]
            for row in rows:
                amount = minor(row["amount"]["amount"], digits)
                assert (amount < 0) == (row["creditDebitIndicator"] == "DBIT")
                dates = row["bookingDate"][:10], row["valueDate"][:10]
                side, reference = row["creditDebitIndicator"], row["endToEndId"]
                yield row["accountId"], row["bookingId"], *dates, side, abs(amount), reference


READERS: dict[str, Callable[[Sandbox], Iterator[Entry]]] = {
    "mbanq": read_mbanq,
    "m2p": read_m2p,
    "mangopay": read_mangopay,
    "kunacore": read_kunacore,
    "banking_circle": read_banking_circle,
}


def booked(sandbox: Sandbox, bank: str) -> list[dict[str, Any]]:
    return [entry for entry in sandbox.truth(bank)["entries"] if entry["status"] == "BOOK"]


@pytest.mark.parametrize("bank", BANKS)
def test_the_wire_says_what_the_books_say(sandbox: Sandbox, bank: str) -> None:
    expected = [tuple(entry[field] for field in FIELDS) for entry in booked(sandbox, bank)]
    read = list(READERS[bank](sandbox))
    assert len(set(read)) == len(read)
    assert sorted(read, key=str) == sorted(expected, key=str)
    assert sandbox.stats(bank)["protocol_errors"] == 0


@pytest.mark.parametrize("bank", BANKS)
def test_balances_follow_from_the_entries(sandbox: Sandbox, bank: str) -> None:
    for account in sandbox.truth(bank)["accounts"]:
        total = account["opening_minor"]
        for entry in booked(sandbox, bank):
            if entry["account_id"] == account["account_id"]:
                total += entry["amount_minor"] * (1 if entry["credit_debit"] == "CRDT" else -1)
        assert total == account["balance_minor"] >= 0


@pytest.mark.parametrize("bank", BANKS)
def test_the_past_reaches_from_weeks_ago_to_today(sandbox: Sandbox, bank: str) -> None:
    days = {date.fromisoformat(entry["booking_date"]) for entry in booked(sandbox, bank)}
    today = datetime.now(UTC).date()
    assert today in days
    assert today - timedelta(days=36) <= min(days) < today - timedelta(days=20)
    assert max(days) == today


def test_the_balances_are_on_the_wire_to_the_last_digit(sandbox: Sandbox) -> None:
    found: dict[str, int] = {}
    digits = {a["account_id"]: a["exponent"] for bank in BANKS for a in sandbox.truth(bank)["accounts"]}
    headers = sandbox.headers("m2p")
    for entity in sandbox.credentials["m2p"]["extra"]["entity_ids"]:
        body = {"entityId": entity}
        row = exact(sandbox.client("m2p").post("/v1/wallets/balance", json=body, headers=headers))["result"]
        found[row["accountId"]] = minor(row["balance"], digits[row["accountId"]])
    headers = sandbox.headers("mbanq")
    for account in sandbox.truth("mbanq")["accounts"]:
        row = exact(sandbox.client("mbanq").get(f"/v1/savingsaccounts/{account['account_id']}", headers=headers))
        found[str(row["id"])] = minor(row["summary"]["accountBalance"], int(row["currency"]["decimalPlaces"]))
    headers = sandbox.headers("kunacore")
    for account in sandbox.truth("kunacore")["accounts"]:
        body = {"walletId": account["account_id"], "assets": ["BTC", "ETH", "EUR", "USDT"]}
        [row] = exact(sandbox.client("kunacore").post("/v2/balance", json=body, headers=headers))["data"]
        found[account["account_id"]] = minor(row["balance"], account["exponent"])
    headers = sandbox.headers("banking_circle")
    for row in exact(sandbox.client("banking_circle").get("/api/v1/accounts", headers=headers))["result"]:
        [balance] = row["balances"]
        total = Decimal(balance["beginOfDayAmount"]) + Decimal(balance["intraDayAmount"])
        found[row["accountId"]] = minor(total, digits[row["accountId"]])
    headers = sandbox.headers("mangopay")
    home = f"/v2.01/{sandbox.credentials['mangopay']['login']}"
    for account in sandbox.truth("mangopay")["accounts"]:
        row = exact(sandbox.client("mangopay").get(f"{home}/wallets/{account['account_id']}", headers=headers))
        found[row["Id"]] = int(row["Balance"]["Amount"])
    assert found == {a["account_id"]: a["balance_minor"] for bank in BANKS for a in sandbox.truth(bank)["accounts"]}


def test_mbanq_dates_come_in_three_shapes_and_a_day_can_be_asked_for(sandbox: Sandbox) -> None:
    account = sandbox.truth("mbanq")["accounts"][0]["account_id"]
    headers, client = sandbox.headers("mbanq"), sandbox.client("mbanq")
    path = f"/v1/savingsaccounts/{account}/transactions"
    rows = client.get(path, params={"limit": 0}, headers=headers).json()["pageItems"]
    assert {type(row["date"]) for row in rows} == {str, list, dict}
    day = mbanq_date(rows[len(rows) // 2]["date"])
    text = date.fromisoformat(day).strftime("%d %b %Y")
    found = client.get(path, params={"startDate": text, "endDate": text}, headers=headers).json()["pageItems"]
    assert [row["id"] for row in found] == [row["id"] for row in rows if mbanq_date(row["date"]) == day]
    assert client.get(path, params={"startDate": day}, headers=headers).status_code == 400
    balances = {row["id"]: row["runningBalance"] for row in rows if not row["reversed"]}
    latest = next(row for row in rows if not row["reversed"])
    summary = client.get(f"/v1/savingsaccounts/{account}", headers=headers).json()["summary"]
    assert balances[latest["id"]] == summary["accountBalance"]


def test_m2p_leaves_out_its_pagination_now_and_then_and_pages_from_nought(sandbox: Sandbox) -> None:
    headers, client = sandbox.headers("m2p"), sandbox.client("m2p")
    body = {"entityId": sandbox.credentials["m2p"]["extra"]["entity_ids"][0]}
    path = "/v1/transactions/fetch-all?pageNo={}&pageSize=5"
    answers = [client.post(path.format(number), json=body, headers=headers).json() for number in range(3)]
    assert [answer["pagination"] for answer in answers].count(None) == 1
    times = [row["time"] for answer in answers for row in answer["result"]]
    assert len(times) == 15
    assert times == sorted(times, reverse=True)
    row = answers[0]["result"][0]
    status = client.get(f"/v1/transactions/status/{row['externalTransactionId']}", headers=headers).json()["result"]
    assert status["amount"] == row["amount"].removeprefix("-")
    wrong = client.post(path.format(0), json={**body, "fromDate": "2024-01-31"}, headers=headers)
    assert wrong.status_code == 400
    unknown = client.post(path.format(0), json={"entityId": "nobody"}, headers=headers)
    assert (unknown.status_code, unknown.json()["business.code"]) == (409, "PPCUST_002")


def test_mangopay_refunds_run_backwards(sandbox: Sandbox) -> None:
    headers, client = sandbox.headers("mangopay"), sandbox.client("mangopay")
    home = f"/v2.01/{sandbox.credentials['mangopay']['login']}"
    rows = []
    for account in sandbox.truth("mangopay")["accounts"]:
        query: dict[str, Any] = {"per_page": 100, "Nature": "REFUND"}
        rows += client.get(f"{home}/wallets/{account['account_id']}/transactions", params=query, headers=headers).json()
    assert rows
    assert {row["Type"] for row in rows} >= {"PAYOUT", "TRANSFER"}
    for row in rows:
        assert row["Fees"]["Amount"] <= 0
        # The side is the wallet's, not the type's.
        if row["Type"] == "PAYOUT":
            assert row["DebitedWalletId"]
            assert row["CreditedWalletId"] is None


def test_mangopay_headers_and_filters(sandbox: Sandbox) -> None:
    headers, client = sandbox.headers("mangopay"), sandbox.client("mangopay")
    wallet = sandbox.truth("mangopay")["accounts"][0]["account_id"]
    path = f"/v2.01/{sandbox.credentials['mangopay']['login']}/wallets/{wallet}/transactions"
    first = client.get(path, headers=headers)
    assert len(first.json()) == 10
    assert 'rel="next"' in first.headers["link"]
    assert len(first.headers["x-ratelimit"].split(",")) == 4
    rows = client.get(path, params={"per_page": 100, "Sort": "CreationDate:ASC"}, headers=headers).json()
    assert [row["CreationDate"] for row in rows] == sorted(row["CreationDate"] for row in rows)
    after = rows[5]["CreationDate"]
    later = client.get(path, params={"per_page": 100, "AfterDate": after}, headers=headers).json()
    assert {row["Id"] for row in later} == {row["Id"] for row in rows if row["CreationDate"] > after}
    assert client.get(path, params={"per_page": 101}, headers=headers).status_code == 400
    assert client.get(path.replace(wallet, "wlt_none"), headers=headers).json()["Type"] == "ressource_not_found"


def test_kuna_filters_on_creation(sandbox: Sandbox) -> None:
    headers, client = sandbox.headers("kunacore"), sandbox.client("kunacore")
    wallet = sandbox.truth("kunacore")["accounts"][0]["account_id"]
    path = "/v2/operation/find?take=1000"
    rows = client.post(path, json={"walletId": wallet}, headers=headers).json()["data"]
    assert [row["createdAt"] for row in rows] == sorted((row["createdAt"] for row in rows), reverse=True)
    day = rows[len(rows) // 2]["createdAt"][:10]
    since = client.post(path, json={"walletId": wallet, "dateFrom": day}, headers=headers).json()["data"]
    assert [row["id"] for row in since] == [row["id"] for row in rows if row["createdAt"] >= day]
    assert client.post(path, json={"wallet": wallet}, headers=headers).status_code == 400


def test_kuna_creates_a_customer_as_its_page_shows(sandbox: Sandbox) -> None:
    headers = {"Api-key": sandbox.credentials["kunacore"]["extra"]["api_key"]}
    body = {
        "email": f"new{len(sandbox.truth('kunacore')['accounts'])}@example.com",
        "firstName": "Alex",
        "lastName": "Smith",
        "country": "FR",
        "verificationDocumentId": "FV633452",
        "residenceAddress": "Paris",
    }
    client = sandbox.client("kunacore")
    assert client.post("/v2/customer/create", json=body, headers=headers).json()["data"]["walletId"]
    assert client.post("/v2/customer/create", json=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"DateFrom": "2020-01-01"},
        {"AccountId": "x", "DateFrom": "01/01/2020"},
        {"AccountId": "x", "DateFrom": "2020-01-01", "PageSize": "5001"},
        {"AccountId": "x", "DateFrom": "2020-01-01"},
    ],
)
def test_banking_circle_wants_its_parameters(sandbox: Sandbox, query: dict[str, str]) -> None:
    if query.get("AccountId"):
        query["AccountId"] = sandbox.truth("banking_circle")["accounts"][0]["account_id"]
    answer = sandbox.client("banking_circle").get(
        "/api/v3/bookings", params=query, headers=sandbox.headers("banking_circle")
    )
    assert (answer.status_code, list(answer.json()[0])) == (400, ["errorCode", "errorText"])
