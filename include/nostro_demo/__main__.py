"""`python -m nostro_demo demo|up`, which `make demo` and `make up` call."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

import httpx

from nostro_demo import demo, up
from nostro_demo.airflow import REPOSITORY
from nostro_demo.process import ProcessFailed
from nostro_demo.rest import ApiError, RunFailed


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)  # so that everything is stopped on the way out


def main() -> int:
    parser = argparse.ArgumentParser(prog="nostro_demo", description=__doc__)
    parser.add_argument("command", choices=("demo", "up"))
    parser.add_argument("--directory", type=Path, default=REPOSITORY / ".demo", help="replaced; default: .demo")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background job has it ignored
    try:
        {"demo": demo.run, "up": up.run}[arguments.command](arguments.directory)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 0 if arguments.command == "up" else 130
    except (ApiError, ProcessFailed, RunFailed, httpx.HTTPError, OSError) as error:
        print(f"\nfailed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
