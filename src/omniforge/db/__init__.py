"""The database: declarative base, sessions, migrations."""

from omniforge.db.base import Base, UtcDateTime
from omniforge.db.session import Database

__all__ = ["Base", "Database", "UtcDateTime"]
