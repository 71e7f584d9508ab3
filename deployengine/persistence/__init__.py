"""Persistence: the truth. Tables, repositories, transactions, migrations."""

from deployengine.persistence.database import Conflict, Database, sqlite_url
from deployengine.persistence.transaction import Transaction

__all__ = ["Conflict", "Database", "Transaction", "sqlite_url"]
