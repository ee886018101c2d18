import copy
import inspect
import pickle
import re
from datetime import UTC, datetime
from string import Formatter

import pytest

from nostro import errors
from nostro.errors import BankError, ConfigurationError, NostroError, Throttled

TREE = re.compile(r"^([│├└─ ]*)([A-Z]\w+)(?:\s{2,}.*?(fail|retry|park|ask))?\s*$", re.MULTILINE)
CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, NostroError)]


def filled(kind: type[NostroError], **more):
    names = [name for _, name, _, _ in Formatter().parse(kind.template) if name]
    return kind(**{name: f"<{name}>" for name in names}, **more)


def test_the_tree_in_the_docstring_is_the_tree():
    """The drawing at the head of errors.py names exactly the errors that exist."""
    assert sorted(name for _, name, _ in TREE.findall(errors.__doc__)) == sorted(c.__name__ for c in CLASSES)


def test_the_drawing_shows_the_inheritance():
    """Each error hangs in the drawing where it hangs in the code."""
    path: list[str] = []
    for indent, name, _ in TREE.findall(errors.__doc__):
        depth = len(indent) // 4
        path[depth:] = [name]
        kind = getattr(errors, name)
        assert depth == 0 or kind.__base__.__name__ == path[depth - 1], name


def test_the_drawing_shows_the_remedies():
    """The remedy in the drawing is the one that the error bears."""
    for _, name, remedy in TREE.findall(errors.__doc__):
        assert not remedy or getattr(errors, name).remedy == remedy, name


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_errors_survive_the_way_between_processes(kind):
    """An error pickled in a worker is the same error where it is read: class, message, fields and retry_at."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    error = filled(kind, retry_at=at, status=429)
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(again) is kind
        assert (str(again), again.fields, again.retry_at) == (str(error), error.fields, at)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_known_remedy(kind):
    """An error says by its remedy what should happen next."""
    assert filled(kind).remedy in ("fail", "retry", "park", "ask")
    assert filled(kind).retry_at is None


def test_a_value_in_a_message_is_never_a_template():
    """Braces in a field stay braces: no value is formatted a second time."""
    error = ConfigurationError(conn_id="{field}", field="host", reason="{0.__class__}", advice="{conn_id}")
    assert str(error) == "Connection '{field}', field 'host': {0.__class__}; {conn_id}."


def test_a_bank_error_is_caught_by_its_branch():
    """A caller may catch a whole branch."""
    assert issubclass(Throttled, BankError)
    assert issubclass(errors.CertificateError, ConfigurationError)
