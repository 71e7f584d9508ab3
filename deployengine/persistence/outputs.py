"""What the scripts printed: masked pieces, by their place in the ticket's output in bytes."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection, Insert, func, select

from deployengine.persistence.inserting import insert_of
from deployengine.persistence.schema import run_output


@cache
def _upsert(dialect: str) -> Insert:
    insert = insert_of(dialect, run_output)
    changes = {"stop": insert.excluded.stop, "text": insert.excluded.text}
    statement: Insert = insert.on_conflict_do_update(
        index_elements=["run_id", "start"], set_=changes
    )
    return statement


class Outputs:
    """The output of step runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, run_id: int, start: int, stop: int, text: str) -> None:
        """Stores the text that stands for bytes ``start`` to ``stop`` of the run's output.

        Takes the place of what was stored at ``start``: the answer to that may have got lost.
        """
        row = {"run_id": run_id, "start": start, "stop": stop, "text": text}
        self._connection.execute(_upsert(self._connection.dialect.name), row)

    def end(self, run_id: int) -> tuple[int, int]:
        """Where the stored output ends: in bytes of the ticket's, and in characters of its own."""
        query = select(
            func.coalesce(func.max(run_output.c.stop), 0),
            func.coalesce(func.sum(func.length(run_output.c.text)), 0),
        ).where(run_output.c.run_id == run_id)
        stop, characters = self._connection.execute(query).one()
        return int(stop), int(characters)

    def pieces(self, run_id: int, start: int = 0) -> list[tuple[int, str]]:
        """Where each piece ends, and its text, from byte ``start`` on and in order."""
        query = select(run_output.c.stop, run_output.c.text).where(
            run_output.c.run_id == run_id, run_output.c.start >= start
        )
        rows = self._connection.execute(query.order_by(run_output.c.start))
        return [(row.stop, row.text) for row in rows]

    def tail(self, run_id: int, lines: int) -> list[str]:
        """The last lines."""
        query = select(run_output.c.text).where(run_output.c.run_id == run_id)
        text = ""
        for piece in self._connection.execute(query.order_by(run_output.c.start.desc())).scalars():
            text = piece + text
            if text.count("\n") > lines:
                break
        return text.splitlines()[-lines:]
