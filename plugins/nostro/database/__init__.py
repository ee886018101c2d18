"""nostro's own database: who works with it gets connections, and leases that fall with the process."""

from nostro.database.open import open_database

__all__ = ["open_database"]
