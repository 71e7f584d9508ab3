"""Inserting a row where there may be one of its key already, on either database.

Only the dialects have such statements; to both databases they mean the same. The one that is not
needed is not loaded.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Insert, Table


def insert_of(dialect: str, table: Table) -> Any:
    """The dialect's own insert, which knows ``on_conflict_do_update``."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def insert_new(connection: Connection, table: Table) -> Insert:
    """Inserts a row; what is there of its key stays as it is."""
    return _new(connection.dialect.name, table)


@cache
def _new(dialect: str, table: Table) -> Insert:
    statement: Insert = insert_of(dialect, table).on_conflict_do_nothing()
    return statement
