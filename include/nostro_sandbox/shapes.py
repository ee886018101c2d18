"""Answers that are not what a token endpoint should give, though the status says it went well."""

import json
from collections.abc import Callable, Mapping

from starlette.responses import HTMLResponse, JSONResponse, Response

_HTML = "<!DOCTYPE html><html><body><h1>Scheduled maintenance</h1></body></html>"


def _truncated(body: bytes) -> Response:
    return Response(body[: len(body) // 2], media_type="application/json")


def _without_access_token(body: bytes) -> Response:
    answer = json.loads(body)
    for part in (answer, answer.get("data", {})):
        part.pop("access_token", None)
        part.pop("accessToken", None)
    return JSONResponse(answer)


_SHAPES: Mapping[str, Callable[[bytes], Response]] = {
    "html": lambda body: HTMLResponse(_HTML),
    "empty": lambda body: Response(b"", media_type="application/json"),
    "truncated": _truncated,
    "list": lambda body: JSONResponse([]),
    "missing_access_token": _without_access_token,
    "error_200": lambda body: JSONResponse({"error": "server_error", "error_description": "Try again later"}),
}


def misshapen(shape: str, body: bytes) -> Response:
    return _SHAPES[shape](body)
