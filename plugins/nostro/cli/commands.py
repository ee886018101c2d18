"""What `airflow nostro ...` does. Secrets are neither printed nor taken as arguments."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import wraps
from getpass import getpass
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from nostro import settings
from nostro.errors import NostroError
from nostro.hooks.base import BankHook
from nostro.hooks.state import ConnectionState, hand_in, have_code_sent, state_of, verified_until

Command = Callable[[Namespace], None]


def _command(function: Command) -> Command:
    """Run where connections are kept, and say in one sentence what is wrong."""

    @wraps(function)
    def run(args: Namespace) -> None:
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # so that connections are read from Airflow's database
        try:
            function(args)
        except (NostroError, AirflowNotFoundException) as error:
            sys.exit(str(error))

    return suppress_logs_and_warning(providers_configuration_loaded(run))


def _hook(conn_id: str) -> BankHook[Any]:
    try:
        hook = BaseHook.get_hook(conn_id)
    except AirflowNotFoundException:
        raise
    except AirflowException:  # no provider has its type
        hook = None
    if not isinstance(hook, BankHook):
        sys.exit(f"Connection '{conn_id}' is not one of nostro's types.")
    return hook


@_command
def status(args: Namespace) -> None:
    states = [_state(conn_id) for conn_id in args.conn_ids or settings.connections()]
    AirflowConsole().print_as_table(
        [{"connection": s.conn_id, "state": s.standing, "detail": s.detail} for s in states]
    )


def _state(conn_id: str) -> ConnectionState:
    try:
        return state_of(_hook(conn_id))
    except AirflowNotFoundException:
        return ConnectionState(conn_id, "unusable", "there is no such connection")
    except SystemExit as stranger:
        return ConnectionState(conn_id, "unusable", str(stranger))


@_command
def unlock(args: Namespace) -> None:
    hook = _hook(args.conn_id)
    if hook.access.allow_one_try():
        print(f"The next task that needs '{args.conn_id}' logs in once more.")  # noqa: T201
    elif (state := state_of(hook)).standing == "held":
        sys.exit(f"Not before the bank's own time is over: {state.detail}")
    else:
        print(f"Nothing holds '{args.conn_id}': tasks log in as they need to.")  # noqa: T201


@_command
def code(args: Namespace) -> None:
    hook = _hook(args.conn_id)
    if verified := verified_until(hook):
        print(f"No code is needed: '{args.conn_id}' is verified until {verified:%Y-%m-%d %H:%M} UTC.")  # noqa: T201
        return
    until = have_code_sent(hook)
    print(f"The bank has sent a code, good until {until:%H:%M:%S} UTC.", file=sys.stderr)  # noqa: T201
    text = (getpass("Code: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not text.isalnum():
        sys.exit(f"That is no code: letters and digits only. The one that was sent is good until {until:%H:%M:%S} UTC.")
    hand_in(hook, text, until)
    print(f"The bank has taken the code; tasks that wait for '{args.conn_id}' go on.")  # noqa: T201
