"""Secrets: what a script is given to know stands nowhere that anybody reads."""

from __future__ import annotations

from collections.abc import Iterator

from battery.case import Case
from battery.scenario import SECRET
from benchmarks.violation import Violation

TABLES = """
select table_name from information_schema.tables where table_schema = 'public' order by 1
"""


def told(case: Case) -> Iterator[Violation]:
    """The secret in a table, a log, or what is left of tickets."""
    needle = SECRET.encode()
    files = [*case.home.glob("logs/*"), *case.home.glob("deployengine.db*")]
    files += [path for path in case.home.glob("tickets/**/output") if path.is_file()]
    for file in files:
        if file.suffix != ".lock" and needle in file.read_bytes():
            yield Violation("secret", f"in {file.relative_to(case.home)}")
    if case.database.kind != "sqlite":
        for (table,) in case.database.rows(TABLES):
            query = f"select 1 from {table} t where t::text like '%{SECRET}%' limit 1"
            if case.database.rows(query):
                yield Violation("secret", f"in table {table}")
