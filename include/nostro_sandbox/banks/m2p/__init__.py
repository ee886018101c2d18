"""M2P Prepaid: client credentials as JSON, a tenant header, prepaid wallets of entities."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request

from nostro_sandbox import tokens
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
from nostro_sandbox.banks.m2p import rows
from nostro_sandbox.banks.m2p.payouts import PAYOUT_FIELDS, Payouts
from nostro_sandbox.books import BOOK, CRDT, DBIT, FAIL, PDNG, Account, Movement
from nostro_sandbox.history import History
from nostro_sandbox.history import Kind as Sort
from nostro_sandbox.wire import (
    JsonObject,
    WireError,
    authorization,
    decimal_text,
    json_body,
    number,
    query_int,
    require_content_type,
    require_fields,
    require_header,
    trimmed,
)

_CURRENCIES = (("INR", 2, "356"), ("USD", 2, "840"), ("KWD", 3, "414"), ("JPY", 0, "392"))

# The customer service stands behind its own prefix and, on the older pages, without one.
_PREFIXES = ("/prepaid/customer", "")

_HISTORY = History(
    kinds=(
        Sort("CREDIT", CRDT, 8, (BOOK,) * 9 + (FAIL,)),
        Sort("DEBIT", DBIT, 8, (BOOK,) * 9 + (FAIL,)),
        Sort("REFUND", CRDT, 1),
    ),
    new_key=lambda rng, index, movement: str(20_000_000_000 + index * 37),
)

_FETCH_FIELDS = {
    "fromDate": str,
    "toDate": str,
    "kit": str,
    "mobile": str,
    "accountId": str,
    "success": bool,
    "isOffline": bool,
    "dataMart": bool,
}


class M2p(Bank):
    conn_type = "m2p"
    zone = ZoneInfo("Asia/Kolkata")

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.client_id = "nostro-m2p-client"
        self.client_secret = self.secret("client secret", 48)
        self.tenant = "NOSTROSBX"
        self._request_ids: dict[str, str] = {}
        self._answers = 0
        for index in range(setup.accounts):
            currency, exponent, code = _CURRENCIES[index % len(_CURRENCIES)]
            account_id = f"{6100000000 + self.rng.randrange(10**7) * 100 + index}"
            self.book.open(Account(account_id, currency, exponent, f"NOSTRO{index + 1:03d}", {"number": code}))
        _HISTORY.write(self.book, self.rng, setup.entries, setup.today)
        self.payouts: Payouts = Payouts(self.book, self.now)

    def connection(self, urls: Mapping[str, str]) -> JsonObject:
        entity_ids = [account.owner for account in self.book.accounts.values()]
        extra = {"tenant_id": self.tenant, "entity_ids": entity_ids}
        return {"login": self.client_id, "password": self.client_secret, "extra": extra}

    def endpoints(self) -> Mapping[str, Sequence[Endpoint]]:
        found = [Endpoint("POST", "/auth/token", self._token, Kind.TOKEN)]
        for prefix in _PREFIXES:
            found += [
                Endpoint("POST", f"{prefix}/v1/wallets/balance", self._balance),
                Endpoint("POST", f"{prefix}/v1/transactions/fetch-all", self._transactions),
                Endpoint("POST", f"{prefix}/v1/transactions/", self._pay),
                Endpoint("GET", f"{prefix}/v1/transactions/status/{{key}}", self._status),
            ]
        return {self.conn_type: (*found, Endpoint("GET", "/v1/products/", self._products))}

    def error(self, kind: Kind, status: int, message: str) -> Any:
        return rows.problem(status, message, f"error.http.{status}")

    def forget(self) -> None:
        super().forget()
        self._request_ids.clear()

    async def _token(self, request: Request) -> Any:
        body = await json_body(request)
        require_fields(body, {"clientId": str, "clientSecret": str, "grantType": str})
        if body["grantType"] != "client_credentials":
            raise WireError("Unsupported grantType")
        wrong = (body["clientId"], body["clientSecret"]) != (self.client_id, self.client_secret)
        if wrong or self.faults.get("locked"):
            message = "The client is locked" if not wrong else "Invalid client credentials"
            raise Refused(401, rows.problem(401, message, "error.http.401"), ["refused_logins"])
        token, left = self.access_token(self._new_token)
        return {"access_token": token.value, "token_type": "Bearer", "expires_in": self.stated_seconds(left)}

    def _new_token(self, lifetime: float) -> tokens.Token:
        now = int(self.now())
        claims = {
            "sub": self.client_id,
            "tenant": self.tenant,
            "roles": ["Operator"],
            "iat": now,
            "exp": int(now + lifetime),
            "jti": tokens.opaque(),
        }
        return self.access_tokens.issue(tokens.signed(claims, self.setup.pki.signing_key, "RS256"), lifetime)

    async def authenticate(self, request: Request) -> None:
        scheme, value = authorization(request)
        if scheme != "bearer" or not value:
            problem = rows.problem(401, "Full authentication is required", "error.http.401")
            raise Refused(401, problem, ["protocol_errors"])
        if self.live_token(value) is None:
            raise Refused(401, rows.problem(401, "The token is invalid or expired", "error.http.401"))

    async def _enter(self, request: Request) -> None:
        await self.authenticate(request)
        if require_header(request, "X-TENANT-ID") != self.tenant:
            raise WireError("Tenant mismatch", 403)
        # Asked for on every call, a GET too.
        require_content_type(request, "application/json")
        await self._check_request_id(request)

    async def _check_request_id(self, request: Request) -> None:
        """One id is one request; the very same request may come again under it."""
        request_id = request.headers.get("x-request-id")
        if request_id is None:
            return
        content = f"{request.method} {request.url.path}?{request.url.query} {(await request.body())!r}"
        if self._request_ids.setdefault(request_id, content) != content:
            raise WireError("X-Request-ID was used for another request", 409)

    def _account_of(self, body: JsonObject) -> Account:
        for account in self.book.accounts.values():
            if account.owner == body["entityId"] and body.get("accountId") in (None, account.account_id):
                return account
        # The platform answers 409 to what it does not know.
        problem = rows.problem(409, "Customer does not exist", "error.business", "PPCUST_002")
        raise Refused(409, problem)

    async def _balance(self, request: Request) -> Any:
        await self._enter(request)
        body = await json_body(request)
        require_fields(body, {"entityId": str}, {"accountId": str})
        account = self._account_of(body)
        balance = number(trimmed(decimal_text(account.balance, account.exponent)))
        return {
            "result": {
                "accountId": account.account_id,
                "entityId": account.owner,
                "balance": balance,
                "currency": account.currency,
                "status": "ACTIVE",
            }
        }

    async def _transactions(self, request: Request) -> Any:
        await self._enter(request)
        body = await json_body(request)
        require_fields(body, {"entityId": str}, _FETCH_FIELDS)
        start, end = rows.date_field(body, "fromDate"), rows.date_field(body, "toDate")
        page = query_int(request, "pageNo", 0, low=0)
        size = query_int(request, "pageSize", 10, low=1, high=500)
        account = self._account_of(body)
        booked = self.book.booked_between(account.account_id, start, end)
        lines = [line for line in reversed(booked) if line.movement.status != PDNG]
        if body.get("success") is not None:
            lines = [line for line in lines if (line.movement.status == BOOK) == body["success"]]
        found = [rows.transaction(line, signed=True) for line in lines[page * size : (page + 1) * size]]
        pagination = {
            "list": None,
            "pageSize": size,
            "pageNo": page,
            "totalPages": -(-len(lines) // size),
            "totalElements": len(lines),
        }
        self._answers += 1
        return {"result": found, "pagination": None if self._answers % 3 == 0 else pagination}

    async def _status(self, request: Request) -> Any:
        await self._enter(request)
        # Ours finds a transaction as well as the bank's.
        key = self.payouts.key_of(request.path_params["key"]) or request.path_params["key"]
        movement = self.book.movements.get(key)
        if movement is None:
            raise Refused(409, rows.problem(409, "Transaction does not exist", "error.business", "PPCUST_004"))
        return self._unsigned(movement)

    async def _pay(self, request: Request) -> Any:
        await self._enter(request)
        body = await json_body(request)
        require_fields(body, PAYOUT_FIELDS)
        movement = self.payouts.pay(body, self._account_of(body))
        self.stats.count("payouts")
        return self._unsigned(movement)

    def _unsigned(self, movement: Movement) -> JsonObject:
        account = movement.credit or movement.debit
        assert account is not None
        line = next(line for line in self.book.lines(account.account_id) if line.movement is movement)
        return {"result": rows.transaction(line, signed=False)}

    async def _products(self, request: Request) -> Any:
        await self._enter(request)
        return {"result": [{"id": "PRD001", "name": "Nostro prepaid", "status": "ACTIVE"}]}
