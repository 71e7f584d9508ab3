"""What the scripts printed: masked pieces, by their place in the ticket's output in bytes."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from deployengine.persistence.schema import run_output


class Outputs:
    """The output of step runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, run_id: int, start: int, stop: int, text: str) -> None:
        """Stores the text that stands for bytes ``start`` to ``stop`` of the run's output.

        Takes the place of what was stored from ``start`` on: the answer to that may have got lost.
        """
        here = (run_output.c.run_id == run_id) & (run_output.c.start >= start)
        self._connection.execute(delete(run_output).where(here))
        row = {"run_id": run_id, "start": start, "stop": stop, "text": text}
        self._connection.execute(insert(run_output), row)

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
