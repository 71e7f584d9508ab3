"""What housekeeping asks every few seconds costs what is open, not what ever was.

The queries are taken down as they are sent, so that a change of words in one is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from deployengine.persistence import Database, Transaction

Ask = Callable[[Transaction], object]

BY_RUNS: dict[str, Ask] = {
    "open runs": lambda tx: tx.runs.open(),
    "how many runs are open": lambda tx: tx.runs.count_open(),
    "runs to be cancelled": lambda tx: tx.runs.cancelling(),
}
BY_DEPLOYMENTS: dict[str, Ask] = {
    "open deployments": lambda tx: tx.deployments.open(),
    "how many deployments are open": lambda tx: tx.deployments.count_open(),
    "stalled chains": lambda tx: tx.steps.stalled(),
}


def plan_of(database: Database, ask: Ask) -> str:
    """How SQLite carries out the one query that is asked."""
    sent: list[tuple[str, Any]] = []

    def take_down(_c: object, _u: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            sent.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", take_down)
    try:
        with database.read() as tx:
            ask(tx)
    finally:
        event.remove(database.engine, "before_cursor_execute", take_down)
    ((statement, parameters),) = sent
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize("name", BY_RUNS)
def test_sqlite_finds_open_runs_by_their_own_index(embedded: Database, name: str) -> None:
    plan = plan_of(embedded, BY_RUNS[name])
    assert "ix_step_run_open" in plan or "ix_step_run_running" in plan, plan


def test_sqlite_finds_runs_that_wait_for_a_machine_by_their_own_index(embedded: Database) -> None:
    plan = plan_of(embedded, lambda tx: tx.lanes.back())
    assert "ix_step_run_awaits" in plan, plan


@pytest.mark.parametrize("name", BY_DEPLOYMENTS)
def test_sqlite_finds_open_deployments_by_their_own_index(embedded: Database, name: str) -> None:
    plan = plan_of(embedded, BY_DEPLOYMENTS[name])
    assert "ix_deployment_open" in plan, plan
