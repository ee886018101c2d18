"""The commands as Airflow's parser wants them; what they do is imported when they run."""

from airflow.cli.cli_config import ARG_VERBOSE, ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

_CONN_ID = Arg(("conn_id",), help="the connection's id")  # type: ignore[no-untyped-call]
_CONN_IDS = Arg(  # type: ignore[no-untyped-call]
    ("conn_ids",), nargs="*", help="connection ids; those of [nostro] connections if there are none"
)


def get_nostro_commands() -> list[CLICommand]:
    return [
        GroupCommand(
            name="nostro",
            help="Look at bank connections, unlock them, hand in one-time codes",
            subcommands=(
                ActionCommand(
                    name="status",
                    help="Say of each connection whether it has a token, waits for a code, or was refused",
                    func=lazy_load_command("nostro.cli.commands.status"),
                    args=(_CONN_IDS, ARG_VERBOSE),
                ),
                ActionCommand(
                    name="unlock",
                    help="Let one login pass after the bank refused the credentials",
                    func=lazy_load_command("nostro.cli.commands.unlock"),
                    args=(_CONN_ID, ARG_VERBOSE),
                ),
                ActionCommand(
                    name="code",
                    help="Hand in the one-time code that the bank has sent by e-mail or SMS",
                    func=lazy_load_command("nostro.cli.commands.code"),
                    args=(_CONN_ID, ARG_VERBOSE),
                    description="Has the bank send a code, if none is under way, and asks for it on the terminal (or "
                    "reads a line of standard input), so that it is in no shell history and no list of processes.",
                ),
            ),
        )
    ]
