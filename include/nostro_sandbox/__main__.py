"""``python -m nostro_sandbox``: serve the banks, print one line of JSON, run until told to stop."""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import uvicorn

from nostro_sandbox.bank import Bank, Setup
from nostro_sandbox.banks import all_banks
from nostro_sandbox.credentials import secret
from nostro_sandbox.pki import Pki
from nostro_sandbox.server import serve


def _arguments(banks: Sequence[type[Bank]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nostro_sandbox", description="Serve emulated banks on loopback.")
    parser.add_argument("--seed", default="1", help="credentials and books follow from it (default: %(default)s)")
    parser.add_argument("--accounts", type=int, default=4, help="accounts of each bank (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=60, help="transactions of each account (default: %(default)s)")
    parser.add_argument("--latency-ms", type=float, default=0, help="time added to each answer (default: %(default)s)")
    for bank in banks:
        for name in bank.listeners():
            flags = dict.fromkeys((f"--port-{name.replace('_', '-')}", f"--port-{name}"))  # either spelling
            parser.add_argument(*flags, type=int, default=0, dest=f"port {name}", help="default: any free port")
    arguments = parser.parse_args()
    if arguments.accounts < 1 or arguments.entries < 0:
        parser.error("at least one account, and no fewer than no entries")
    return arguments


def main() -> None:
    banks = all_banks()
    arguments = _arguments(banks)
    setup = Setup(
        seed=arguments.seed,
        accounts=arguments.accounts,
        entries=arguments.entries,
        today=datetime.now(UTC).date(),
        latency=arguments.latency_ms / 1000,
        pki=Pki(secret(arguments.seed, "pki passphrase", 24)),
    )
    ports = {name: getattr(arguments, f"port {name}") for bank in banks for name in bank.listeners()}
    with asyncio.Runner(loop_factory=uvicorn.Config("", log_config=None).get_loop_factory()) as runner:
        runner.run(serve(banks, setup, ports))


if __name__ == "__main__":
    main()
