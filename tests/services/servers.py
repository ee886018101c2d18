"""Servers that tests need: found on their usual port, or started from what is installed."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from nostro_demo.process import Process, wait_until


def missing(reason: str) -> NoReturn:
    """Skip the test; in CI, where everything has to be there, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def scratch(name: str) -> Path:
    """A directory that is gone when this process has ended."""
    directory = Path(tempfile.mkdtemp(prefix=f"nostro-{name}-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def serve(name: str, command: list[str], directory: Path, ready: Callable[[], bool]) -> None:
    """Run a server until this process ends, however it ends; returns when it is `ready`."""
    process = Process(name, command, log=directory / f"{name}.log", env=os.environ, patience=5)
    atexit.register(process.stop)
    wait_until(f"{name} up", ready, timeout=30, watch=[process])
