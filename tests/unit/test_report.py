import json

from nostro import report

BREAK = {
    "code": "AMOUNT_DIFF",
    "account_id": "a1",
    "booking_date": "2026-01-31",
    "reference": "<script>alert(1)</script>",
    "ledger_minor": 5,
    "statement_minor": None,
    "currency": "EUR",
}


def test_what_a_bank_wrote_is_text_in_the_page():
    """A reference is shown, not executed."""
    page = report.page("2026-01-31 {x}", {"<c1>": {"entries": 3, "matches": 2, "breaks": [BREAK]}})
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;c1&gt;" in page
    assert "2026-01-31 {x}" in page


def test_the_page_counts():
    """The page shows entries, matches and breaks by connection."""
    page = report.page("x", {"c1": {"entries": 31, "matches": 27, "breaks": [BREAK]}})
    assert '<td>c1<td class="n">31<td class="n">27<td class="n">1</tr>' in page


def test_the_latest_report_is_pointed_at(tmp_path):
    """A report lies in the lake, and reports/latest.json says where and what it counted."""
    outcomes = [{"conn_id": "c1", "entries": 3, "matches": 2, "breaks": [BREAK]}]
    path = report.write(f"file://{tmp_path}", "2026-01-31", outcomes)
    latest = json.loads((tmp_path / "reports" / "latest.json").read_text())
    assert latest == {"report": path, "banks": {"c1": {"conn_id": "c1", "entries": 3, "matches": 2, "breaks": 1}}}
    assert (tmp_path / "reports" / "reconciliation-2026-01-31.html").read_text().startswith("<!doctype html>")
