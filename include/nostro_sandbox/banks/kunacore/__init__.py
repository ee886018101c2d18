"""Kuna Core: e-mail and password with a merchant id, rotating refresh tokens, or an API key."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from starlette.requests import Request

from nostro_sandbox import credentials, tokens
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
from nostro_sandbox.banks.kunacore import rows
from nostro_sandbox.banks.kunacore.payouts import Payouts
from nostro_sandbox.books import BOOK, CRDT, DBIT, FAIL, PDNG, Account, Line, Movement
from nostro_sandbox.history import History
from nostro_sandbox.history import Kind as Sort
from nostro_sandbox.wire import (
    JsonObject,
    WireError,
    authorization,
    decimal_text,
    json_body,
    query_int,
    require_content_type,
    require_fields,
    require_header,
    trimmed,
)

_ASSETS = (("BTC", 8), ("ETH", 18), ("EUR", 2), ("USDT", 6), ("BTC", 8))
_REFRESH_LIFETIME = 2 * 86400
_PENDING = ("Created", "Processing", "OnHold")

_HISTORY = History(
    kinds=(
        Sort("Deposit", CRDT, 8, (BOOK,) * 16 + (PDNG, FAIL), delays=(0, 0, 40, 1800, 20 * 3600)),
        Sort("Withdraw", DBIT, 6, (BOOK,) * 16 + (PDNG, FAIL), delays=(0, 40, 1800)),
        Sort("Transfer", "between", 4, (BOOK,) * 16 + (FAIL,)),
    ),
    new_key=lambda rng, index, movement: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
)


class KunaCore(Bank):
    conn_type = "kunacore"
    token_lifetime = 1800

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.email = "owner@nostro-sandbox.example"
        self.password = self.secret("password")
        self.merchant_id = credentials.unique_id(setup.seed, "kunacore merchant")
        self.api_key = self.secret("api key", 64)
        self.customers: dict[str, JsonObject] = {}
        for index in range(setup.accounts):
            asset, exponent = _ASSETS[index % len(_ASSETS)]
            wallet_id = rows.random_id(self.rng)
            self._add_customer(f"customer{index + 1}@nostro-sandbox.example", rows.random_id(self.rng), wallet_id)
            self.book.open(Account(wallet_id, asset, exponent, f"customer{index + 1}@nostro-sandbox.example"))
        _HISTORY.write(self.book, self.rng, setup.entries, setup.today)
        for movement in self.book.movements.values():
            _complete(movement, self.rng)
        self.payouts: Payouts = Payouts(self.book, self.now)

    def _add_customer(self, email: str, customer_id: str, wallet_id: str) -> JsonObject:
        created = rows.iso(datetime.combine(self.setup.today - timedelta(days=400), datetime.min.time(), UTC))
        customer = {"id": customer_id, "email": email, "walletId": wallet_id, "createdAt": created}
        self.customers[email] = customer
        return customer

    def connection(self, urls: Mapping[str, str]) -> JsonObject:
        extra = {"merchant_id": self.merchant_id, "api_key": self.api_key}
        return {"login": self.email, "password": self.password, "extra": extra}

    def endpoints(self) -> Mapping[str, Sequence[Endpoint]]:
        return {
            self.conn_type: (
                Endpoint("POST", "/v2/auth/login", self._login, Kind.TOKEN),
                Endpoint("POST", "/v2/auth/refresh", self._refresh, Kind.TOKEN),
                Endpoint("POST", "/v2/customer/find", self._find_customers),
                Endpoint("POST", "/v2/customer/create", self._create_customer),
                Endpoint("POST", "/v2/balance", self._balance),
                Endpoint("POST", "/v2/operation/find", self._find_operations),
                Endpoint("POST", "/v2/transfer", self._transfer),
                Endpoint("POST", "/v2/withdraw/crypto", self._withdraw),
            )
        }

    def error(self, kind: Kind, status: int, message: str) -> Any:
        codes = {403: "FORBIDDEN", 429: "TOO_MANY_REQUESTS"}
        return rows.errors(codes.get(status, "VALIDATION_ERROR" if status < 500 else "INTERNAL_ERROR"), message)

    # Tokens

    async def _login(self, request: Request) -> Any:
        body = await json_body(request)
        merchant_id = require_header(request, "merchant_id")
        require_fields(body, {"token": str, "password": str})
        wanted = (self.email, self.password, self.merchant_id)
        if (body["token"], body["password"], merchant_id) != wanted:
            raise Refused(401, rows.errors("UNAUTHORIZED", "Invalid credentials"), ["refused_logins"])
        self._check_lock()
        return self._granted(tokens.opaque())

    def _check_lock(self) -> None:
        if self.faults.get("locked"):
            raise Refused(403, rows.errors("USER_BLOCKED", "User is blocked"), ["refused_logins"])

    async def _refresh(self, request: Request) -> Any:
        body = await json_body(request)
        self.stats.count("refreshes")
        if require_header(request, "merchant_id") != self.merchant_id:
            raise Refused(401, rows.errors("UNAUTHORIZED", "Invalid merchant"), ["refused_logins"])
        require_fields(body, {"refreshToken": str})
        self._check_lock()
        token = self.usable_refresh_token(body["refreshToken"])
        if token is None:
            raise Refused(401, rows.errors("REFRESH_TOKEN_EXPIRED", "Invalid token"))
        token.used = True
        return self._granted(token.family)

    def _granted(self, family: str) -> JsonObject:
        access, _ = self.access_token(partial(self._new_token, family))
        refresh = self._new_refresh_token(access.family)
        # An instant, not a duration: the JWT's own.
        expires = self.stated_lifetime(tokens.claims(access.value)["exp"])
        return {"data": {"accessToken": access.value, "expiresIn": expires, "refreshToken": refresh.value}}

    def _new_token(self, family: str, lifetime: float) -> tokens.Token:
        now = self.now()
        claims = {
            "id": self.merchant_id,
            "fingerprint": family,
            "iat": int(now),
            "email": self.email,
            "role": "Owner",
            "t": "u",
            "merchantId": self.merchant_id,
            "jwtId": tokens.opaque(),
            "exp": int(now + lifetime),
        }
        return self.access_tokens.issue(tokens.signed(claims, self.setup.pki.signing_key, "RS256"), lifetime, family)

    def _new_refresh_token(self, family: str) -> tokens.Token:
        now, lifetime = self.now(), float(self.faults.get("refresh_lifetime", _REFRESH_LIFETIME))
        claims = {
            "id": self.merchant_id,
            "fingerprint": family,
            "iat": int(now),
            "sessionCreatedAt": int(now * 1000),
            "exp": int(now + lifetime),
            "jwtId": tokens.opaque(),
        }
        return self.refresh_tokens.issue(tokens.signed(claims, self.setup.pki.signing_key, "RS256"), lifetime, family)

    async def authenticate(self, request: Request) -> None:
        key = request.headers.get("api-key")
        if key is not None:
            if key != self.api_key:
                raise Refused(401, rows.errors("UNAUTHORIZED", "Invalid api key"), ["refused_logins"])
        else:
            self._check_bearer(request)

    async def _enter(self, request: Request) -> None:
        await self.authenticate(request)
        require_content_type(request, "application/json")

    def _check_bearer(self, request: Request) -> None:
        scheme, value = authorization(request)
        if scheme != "bearer" or not value:
            raise Refused(401, rows.errors("UNAUTHORIZED", "No auth token"), ["protocol_errors"])
        token = self.access_tokens.find(value)
        if token is None or token.revoked:
            raise Refused(401, rows.errors("UNAUTHORIZED", {"name": "JsonWebTokenError", "message": "invalid token"}))
        if token.expired:
            expired_at = rows.iso(datetime.fromtimestamp(token.expires_at, UTC))
            message = {"name": "TokenExpiredError", "message": "jwt expired", "expiredAt": expired_at}
            raise Refused(401, rows.errors("UNAUTHORIZED", message))

    # Customers and balances

    async def _find_customers(self, request: Request) -> Any:
        await self._enter(request)
        body = await json_body(request)
        require_fields(body, {}, rows.CUSTOMER_FILTERS)
        found = [
            customer
            for customer in self.customers.values()
            if all(body.get(name) in (None, customer[name]) for name in ("email", "walletId"))
        ]
        skip, take = body.get("skip") or 0, body.get("take") or 50
        if skip < 0 or take < 1:
            raise WireError("skip and take must be positive")
        return {"data": found[skip : skip + take]}

    async def _create_customer(self, request: Request) -> Any:
        await self._enter(request)
        body = await json_body(request)
        require_fields(body, rows.NEW_CUSTOMER, rows.NEW_CUSTOMER_MORE)
        if body["email"] in self.customers:
            raise Refused(400, rows.errors("CUSTOMER_EXISTS", "Email must be unique"))
        return {"data": self._add_customer(body["email"], rows.random_id(self.rng), rows.random_id(self.rng))}

    async def _balance(self, request: Request) -> Any:
        await self._enter(request)
        body = await json_body(request)
        require_fields(body, {"assets": list, "walletId": str})
        if body["walletId"] not in self._known_wallets():
            raise Refused(404, rows.errors("WALLET_NOT_FOUND", "Wallet not found"))
        account = self.book.accounts.get(body["walletId"])
        if account is None or (body["assets"] and account.currency not in body["assets"]):
            return {"data": []}
        balance = trimmed(decimal_text(account.balance, account.exponent))
        return {
            "data": [{"asset": account.currency, "currency": account.currency, "balance": balance, "lockBalance": "0"}]
        }

    # Operations

    async def _find_operations(self, request: Request) -> Any:
        await self._enter(request)
        body = await json_body(request)
        require_fields(body, {}, rows.OPERATION_FILTERS)
        skip = query_int(request, "skip", 0, low=0)
        take = query_int(request, "take", 20, low=1, high=1000)
        start, end = rows.instant_field(body, "dateFrom"), rows.instant_field(body, "dateTo")
        wanted = [name for name in body if name not in ("dateFrom", "dateTo", "walletId") and body[name] is not None]
        found = [
            movement
            for movement in self._newest_first(body.get("walletId"))
            if (start is None or movement.created >= start) and (end is None or movement.created <= end)
        ]
        if wanted:
            found = [movement for movement in found if rows.matches(self._row(movement), body, wanted)]
        return {"data": [self._row(movement) for movement in found[skip : skip + take]]}

    def _newest_first(self, wallet_id: str | None) -> list[Movement]:
        if wallet_id is None:
            return list(self.book.movements.values())[::-1]
        if wallet_id not in self.book.accounts:
            return []
        lines: list[Line] = self.book.lines(wallet_id)
        return [line.movement for line in reversed(lines)]

    def _row(self, movement: Movement) -> JsonObject:
        return rows.operation(movement, self.payouts.status_of(movement))

    # Payouts

    def _known_wallets(self) -> set[str]:
        return {str(customer["walletId"]) for customer in self.customers.values()}

    async def _transfer(self, request: Request) -> Any:
        await self._enter(request)
        return self._paid(self.payouts.transfer(await json_body(request), self._known_wallets()))

    async def _withdraw(self, request: Request) -> Any:
        await self._enter(request)
        return self._paid(self.payouts.withdraw(await json_body(request), self._known_wallets()))

    def _paid(self, movement: Movement) -> JsonObject:
        self.stats.count("payouts")
        return {"data": self._row(movement)}


def _complete(movement: Movement, rng: Random) -> None:
    """What only this bank's movements have: the state's own name, and a wallet outside."""
    pending = rng.choice(_PENDING)
    movement.details["status"] = {BOOK: "Completed", FAIL: "Declined", PDNG: pending}[movement.status]
    movement.details["outside"] = rows.random_id(rng)
    if movement.kind == "Transfer" and movement.end_to_end_id is None:
        movement.end_to_end_id = rows.random_id(rng)
