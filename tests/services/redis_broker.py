"""A Redis for Celery, on loopback."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache

import redis
from servers import missing, scratch, serve

from nostro_demo.airflow import free_port

USUAL_PORT = 6379


@contextmanager
def broker() -> Iterator[tuple[str, str]]:
    """Its URL, and what all our keys have to begin with, so that nothing of others is touched; they go at the end."""
    url, prefix = server(), f"nostro-{secrets.token_hex(6)}:"
    try:
        yield url, prefix
    finally:
        with closing(redis.Redis.from_url(url)) as client:
            for key in client.scan_iter(match=f"{prefix}*", count=1000):
                client.delete(key)


@cache
def server() -> str:
    """The URL of a Redis; one of our own where none runs."""
    if _answers(usual := _url(USUAL_PORT)):
        return usual
    program = shutil.which("redis-server")
    if not program:
        missing(f"no Redis on 127.0.0.1:{USUAL_PORT}, and none installed: apt-get install redis-server")
    directory, port = scratch("redis"), free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(directory)]
    serve("redis", command, directory, lambda: _answers(_url(port)))
    return _url(port)


def _url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def _answers(url: str) -> bool:
    with closing(redis.Redis.from_url(url, socket_timeout=5)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
