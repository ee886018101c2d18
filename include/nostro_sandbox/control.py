"""The paths for tests and demos, the same on every port: counters, requests, faults, books."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nostro_sandbox.bank import Bank
from nostro_sandbox.wire import json_response


class Control:
    def __init__(self, banks: Mapping[str, Bank]) -> None:
        self._banks = banks

    def routes(self) -> list[Route]:
        return [
            Route("/_stats", self._stats, methods=["GET"]),
            Route("/_log", self._log, methods=["GET"]),
            Route("/_truth", self._truth, methods=["GET"]),
            Route("/_faults", self._faults, methods=["GET"]),
            Route("/_faults", self._set_faults, methods=["POST"]),
            Route("/_reset", self._reset, methods=["POST"]),
        ]

    async def _stats(self, request: Request) -> Response:
        return json_response({name: bank.stats.snapshot() for name, bank in self._banks.items()})

    async def _log(self, request: Request) -> Response:
        """The last requests on one bank's endpoints."""
        bank = self._banks.get(request.query_params.get("conn_type", ""))
        if bank is None:
            return json_response({"problems": ["conn_type is none of the banks"]}, 400)
        return json_response(bank.log.entries())

    async def _truth(self, request: Request) -> Response:
        wanted = request.query_params.get("conn_type")
        return json_response({name: bank.truth() for name, bank in self._banks.items() if wanted in (None, name)})

    async def _faults(self, request: Request) -> Response:
        return json_response({name: bank.faults.in_force() for name, bank in self._banks.items()})

    async def _set_faults(self, request: Request) -> Response:
        """Replaces the faults of each bank named; an empty object clears those of all."""
        try:
            wanted = json.loads(await request.body())
        except ValueError:
            wanted = None
        problems = self._problems(wanted)
        if problems:
            return json_response({"problems": problems}, 400)
        for name, faults in (wanted or {name: {} for name in self._banks}).items():
            for one_off in self._banks[name].faults.replace(faults):
                self._banks[name].revoke(one_off)
        return await self._faults(request)

    def _problems(self, wanted: Any) -> list[str]:
        if not isinstance(wanted, dict):
            return ["the body is not a JSON object"]
        problems = [f"unknown bank {name}" for name in wanted if name not in self._banks]
        for name in wanted.keys() & self._banks.keys():
            problems += [f"{name}: {problem}" for problem in self._banks[name].faults.problems(wanted[name])]
        return sorted(problems)

    async def _reset(self, request: Request) -> Response:
        for bank in self._banks.values():
            bank.forget()
        return await self._stats(request)
