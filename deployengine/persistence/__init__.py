"""Persistence: the truth. Tables, repositories, transactions, migrations."""

from deployengine.persistence.database import Database, sqlite_url
from deployengine.persistence.transaction import Transaction

__all__ = ["Database", "Transaction", "sqlite_url"]
