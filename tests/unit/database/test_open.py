"""From `[nostro] store` to a database."""

import pytest

from nostro.database import open_database
from nostro.database.memory import MemoryDatabase
from nostro.database.postgresql import PostgresqlDatabase
from nostro.database.sqlite import SqliteDatabase
from nostro.errors import SettingError


@pytest.mark.parametrize(
    ("store", "kind"),
    [
        *((text, MemoryDatabase) for text in ("none", "None", "NONE")),
        *((f"{driver}:////nowhere/nostro.db", SqliteDatabase) for driver in ("sqlite", "sqlite+pysqlite")),
        *((f"{driver}://anna:hush@db/nostro", PostgresqlDatabase) for driver in ("postgresql", "postgresql+psycopg")),
    ],
)
def test_a_store_is_opened_by_what_it_names(store, kind):
    """Nothing is read, made or connected to before it is needed."""
    assert type(open_database(store)) is kind


@pytest.mark.parametrize(
    "store",
    [
        *("", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true", "nodialect://x"),
        *("mysql://anna:hush@db/nostro", "sqlite+foo:////tmp/nostro-x.db", "sqlite+aiosqlite:////tmp/nostro-x.db"),
        *(
            "postgres://anna:hush@db/nostro",
            "postgresql+asyncpg://anna:hush@db/nostro",
            "postgresql+x://anna:hush@db/x",
        ),
        "postgresql+psycopg://anna:hush@db:port/nostro",
    ],
)
def test_any_other_store_is_refused(store):
    """By a sentence that names the setting, tells what to write, and quotes no password."""
    with pytest.raises(SettingError) as refused:
        open_database(store)
    assert refused.value.fields["field"] == "store"
    assert "postgresql://" in str(refused.value)
    assert "hush" not in str(refused.value)
