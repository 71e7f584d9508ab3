"""Secrets: what a script is given to know stands nowhere that anybody reads."""

from __future__ import annotations

from collections.abc import Iterator

from battery.case import Case
from battery.scenario import SECRET
from benchmarks.violation import Violation

#: Under the home: what processes said, the database, the traces, what is left of tickets.
PLACES = ("logs/**/*", "deployengine.db*", "traces/**/*", "tickets/**/*")
TABLES = """
select table_name from information_schema.tables where table_schema = 'public' order by 1
"""


def told(case: Case) -> Iterator[Violation]:
    """The secret in a table, a log, a trace, or what is left of tickets."""
    needle = SECRET.encode()
    for file in (file for place in PLACES for file in case.home.glob(place) if file.is_file()):
        if needle in file.read_bytes():
            yield Violation("secret", f"in {file.relative_to(case.home)}")
    if case.database.kind != "sqlite":
        for (table,) in case.database.rows(TABLES):
            query = f"select 1 from {table} t where t::text like '%{SECRET}%' limit 1"
            if case.database.rows(query):
                yield Violation("secret", f"in table {table}")
