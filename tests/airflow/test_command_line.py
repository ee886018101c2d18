"""`airflow nostro ...` answers in a table or in a sentence, and never in a traceback."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from command_line import Said, nostro, standings
from runs import connection

from nostro import registry
from nostro_demo.rest import Client
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them

NOT_OURS = r"Connection '\w+' is not one of nostro's types\."
# What is typed after the command, the status that it ends with, and the one sentence that it then says.
SENTENCES = {
    "unlock m2p_default": (0, r"Nothing holds 'm2p_default': tasks log in as they need to\."),
    "unlock no_such_connection": (1, r"The conn_id `no_such_connection` isn't defined"),
    "unlock of_another_type": (1, NOT_OURS),
    "unlock of_an_unknown_type": (1, NOT_OURS),
    "code m2p_default": (1, r"Connection 'm2p_default', field 'conn_type': M2P asks for no code.*"),
}
TABLES = ("status", "status no_such_connection unusable of_an_unknown_type", "--help")


@pytest.fixture(scope="module")
def said(stage: Stage, admin: Client) -> Iterator[dict[str, Said]]:
    """What all the commands have said, by what was typed after `airflow nostro`."""
    unusable = connection("unusable", "mbanq", stage.sandbox.description, host="ftp://bank.example")
    others = [
        {"connection_id": "of_another_type", "conn_type": "fs"},
        {"connection_id": "of_an_unknown_type", "conn_type": "no_provider_has_it"},
    ]
    admin.put("connections", [unusable, *others])
    typed = [*SENTENCES, *TABLES]
    with ThreadPoolExecutor(2) as pool:
        yield dict(zip(typed, pool.map(lambda line: nostro(stage, *line.split()), typed), strict=True))
    for conn_id in ("unusable", "of_another_type", "of_an_unknown_type"):
        admin.delete_connection(conn_id)


@pytest.mark.parametrize("line", SENTENCES)
def test_a_command_says_one_sentence(line: str, said: dict[str, Said]):
    """On standard error if it did not do what it was asked to."""
    status, sentence = SENTENCES[line]
    answer = said[line]
    assert answer.status == status, answer
    assert re.fullmatch(rf"{sentence}\n", answer.err if status else answer.out), answer
    assert (answer.out if status else answer.err) == ""


def test_the_help_names_the_three_commands(said: dict[str, Said]):
    assert said["--help"].status == 0
    assert re.findall(r"^    (\w+) +[A-Z]", said["--help"].out, re.MULTILINE) == ["code", "status", "unlock"]


def test_status_without_arguments_is_about_nostros_connections(said: dict[str, Said]):
    assert set(standings(said["status"])) == {f"{bank}_default" for bank in registry.BANKS}


def test_status_says_what_is_unusable_beside_the_rest(said: dict[str, Said]):
    table = said[TABLES[1]]
    assert set(standings(table)) == set(TABLES[1].split()[1:])
    assert set(standings(table).values()) == {"unusable"}
    assert "there is no such connection" in table.out
    assert "field 'host'" in table.out
