"""The tables of nostro's own database. Instants are UTC, without a zone, as SQLite has none."""

import sqlalchemy as sa

METADATA = sa.MetaData()

TOKEN = sa.Table(
    "nostro_token",
    METADATA,
    sa.Column("identity", sa.String(64), primary_key=True),  # keyed hash of who the token belongs to
    sa.Column("generation", sa.Integer, nullable=False),  # one more with each save; a save names the one it replaces
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("updated_at", sa.DateTime, nullable=False),
)
SEAL = sa.Table(
    "nostro_seal",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("check_value", sa.Text, nullable=False),  # opens only for processes whose keys fit this database
)
FAILURE = sa.Table(
    "nostro_failure",
    METADATA,
    sa.Column("identity", sa.String(64), primary_key=True),  # as in nostro_token
    sa.Column("error", sa.Text, nullable=False),  # JSON: the error's class and fields, which hold no secret
    sa.Column("failed_at", sa.DateTime, nullable=False),
    sa.Column("retry_at", sa.DateTime),
)
TOTP_STEP = sa.Table(
    "nostro_totp_step",
    METADATA,
    sa.Column("account", sa.String(64), primary_key=True),  # hash of the user at the bank; no secret in it
    sa.Column("step", sa.BigInteger, primary_key=True),  # 30 s of RFC 6238 whose code was used
)
AWAITED_CODE = sa.Table(
    "nostro_awaited_code",
    METADATA,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("since", sa.DateTime, nullable=False),  # when the first task began to wait
    sa.Column("sent_until", sa.DateTime),  # until when the code that the bank sent is good; null: none was sent
    sa.Column("sealed_code", sa.Text),  # as handed in by a person, until it is used
    sa.Column("code_until", sa.DateTime),
)
