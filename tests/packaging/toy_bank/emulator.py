"""The Toy Bank's emulator."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from nostro_sandbox import tokens
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
from nostro_sandbox.books import BOOK, CRDT, DBIT, Account
from nostro_sandbox.history import History
from nostro_sandbox.history import Kind as Sort
from nostro_sandbox.wire import JsonObject, decimal_text

_HISTORY = History(
    kinds=(Sort("IN", CRDT, 5, (BOOK,)), Sort("OUT", DBIT, 5, (BOOK,))),
    new_key=lambda rng, index, movement: f"toy-{index}",
)


class Toy(Bank):
    conn_type = "toy"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.client_secret = self.secret("client secret")
        for index in range(2):
            self.book.open(Account(f"toy-account-{index}", "EUR", 2, "owner"))
        _HISTORY.write(self.book, self.rng, 20, setup.today)

    def connection(self, urls: Mapping[str, str]) -> JsonObject:
        return {"login": "toy-client", "password": self.client_secret, "extra": {}}

    def endpoints(self) -> Mapping[str, Sequence[Endpoint]]:
        return {
            self.conn_type: (
                Endpoint("POST", "/token", self._token, Kind.TOKEN),
                Endpoint("GET", "/accounts", self._accounts),
                Endpoint("GET", "/accounts/{account_id}/entries", self._entries),
            )
        }

    def error(self, kind: Kind, status: int, message: str) -> Any:
        return {"error": "server_error", "error_description": message}

    async def authenticate(self, request: Request) -> None:
        if self.live_token(request.headers.get("authorization", "").removeprefix("Bearer ")) is None:
            raise Refused(401, {"error": "invalid_token"})

    async def _token(self, request: Request) -> Any:
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("client_secret") != self.client_secret or self.faults.get("locked"):
            raise Refused(401, {"error": "invalid_client"}, ["refused_logins"])
        lifetime = self.lifetime()
        token = self.access_tokens.issue(tokens.opaque(), lifetime)
        return {"access_token": token.value, "token_type": "Bearer", "expires_in": self.stated_lifetime(int(lifetime))}

    async def _accounts(self, request: Request) -> Any:
        await self.authenticate(request)
        return [
            {"id": a.account_id, "currency": a.currency, "balance": decimal_text(a.balance, a.exponent)}
            for a in self.book.accounts.values()
        ]

    async def _entries(self, request: Request) -> Any:
        await self.authenticate(request)
        return [
            {
                "id": line.movement.key,
                "day": self.book.booking_date(line.movement).isoformat(),
                "amount": decimal_text(line.signed_minor, line.account.exponent),
                "currency": line.account.currency,
            }
            for line in self.book.lines(request.path_params["account_id"])
            if line.movement.status == BOOK
        ]
