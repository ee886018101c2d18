from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nostro.reconciliation import Line, ledger_line, match, statement_line

LINES = st.lists(
    st.builds(
        Line,
        account_id=st.sampled_from(["a1", "a2"]),
        booking_date=st.sampled_from(["2026-01-01", "2026-01-02"]),
        credit_debit=st.sampled_from(["CRDT", "DBIT"]),
        minor=st.integers(0, 3),
        currency=st.sampled_from(["EUR", "JPY"]),
        reference=st.sampled_from(["r1", "r2"]),
    ),
    max_size=6,
)
ROW = {
    "account_id": "a1",
    "booking_date": "2026-01-31",
    "credit_debit": "CRDT",
    "amount_minor": "1260",
    "currency": "EUR",
    "reference": "r1",
}


def sides(outcome):
    """All lines of an outcome, ours and theirs."""
    ours = [a for a, _ in outcome.matches] + [b.ledger for b in outcome.breaks if b.ledger]
    theirs = [b for _, b in outcome.matches] + [b.statement for b in outcome.breaks if b.statement]
    return Counter(ours), Counter(theirs)


@given(ledger=LINES, statement=LINES)
def test_no_line_is_lost_and_none_counts_twice(ledger, statement):
    """Each line of either side is in exactly one match or break."""
    assert sides(match(ledger, statement)) == (Counter(ledger), Counter(statement))


@given(ledger=LINES, statement=LINES)
def test_a_match_is_a_match(ledger, statement):
    """Two lines match only if account, direction, currency, reference and amount are equal."""
    for ours, theirs in match(ledger, statement).matches:
        assert (ours.key, ours.minor) == (theirs.key, theirs.minor)


@given(ledger=LINES, statement=LINES)
def test_a_break_says_what_it_is(ledger, statement):
    """A break's code tells which side lacks a line, or that the amounts differ."""
    for found in match(ledger, statement).breaks:
        if found.code == "AMOUNT_DIFF":
            assert found.ledger.key == found.statement.key
            assert found.ledger.minor != found.statement.minor
        else:
            assert (found.code == "MISSING_AT_BANK") == (found.statement is None)
            assert (found.code == "MISSING_IN_LEDGER") == (found.ledger is None)


@given(ledger=LINES, statement=LINES)
def test_equal_amounts_are_never_left_as_breaks(ledger, statement):
    """What could have matched did."""
    breaks = match(ledger, statement).breaks
    ours = {(b.ledger.key, b.ledger.minor) for b in breaks if b.ledger}
    theirs = {(b.statement.key, b.statement.minor) for b in breaks if b.statement}
    assert not ours & theirs


@given(data=st.data(), ledger=LINES, statement=LINES)
def test_the_order_of_the_lines_decides_nothing(data, ledger, statement):
    """The same lines in another order give the same outcome, down to its own order."""
    shuffled = match(data.draw(st.permutations(ledger)), data.draw(st.permutations(statement)))
    assert shuffled == match(ledger, statement)


def test_a_line_of_the_ledger_is_read():
    """A row of the ledger's CSV becomes a line, its amount a whole number."""
    assert ledger_line(ROW) == Line("a1", "2026-01-31", "CRDT", 1260, "EUR", "r1")


@pytest.mark.parametrize("name", list(ROW))
def test_a_missing_column_is_named(name):
    """A ledger without a column is refused by that column's name."""
    with pytest.raises(ValueError, match=name):
        ledger_line({key: value for key, value in ROW.items() if key != name})


@pytest.mark.parametrize("name", list(ROW))
def test_a_row_cut_short_is_refused(name):
    """A row with fewer cells than columns, which csv fills up with None, is refused by the column's name."""
    with pytest.raises(ValueError, match=name):
        ledger_line({**ROW, name: None})


@pytest.mark.parametrize("amount", ["12.60", "", "twelve", "1e3"])
def test_an_amount_that_is_not_whole_is_refused(amount):
    """The ledger counts in minor units."""
    with pytest.raises(ValueError, match="amount_minor"):
        ledger_line({**ROW, "amount_minor": amount})


@pytest.mark.parametrize(("reference", "found"), [("r1", "r1"), (None, "k1"), ("", "k1")])
def test_a_statements_line_goes_by_the_payers_reference_or_the_banks(reference, found):
    """Where the payer gave no reference the bank's own identity of the entry serves."""
    row = {**ROW, "end_to_end_id": reference, "entry_key": "k1"}
    assert statement_line(row).reference == found


def test_a_break_as_a_row_has_both_amounts():
    """A break's row tells both sides' amounts, None for the side that has no line."""
    (found,) = match([Line("a1", "2026-01-31", "CRDT", 5, "EUR", "r1")], []).breaks
    row = found.as_row()
    assert (row["code"], row["ledger_minor"], row["statement_minor"]) == ("MISSING_AT_BANK", "5", None)
