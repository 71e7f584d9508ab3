"""Machines: how each was found, and what people want of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, delete, func, literal, select, update

from deployengine.domain.availability import Health, MachineMode
from deployengine.persistence.inserting import insert_new
from deployengine.persistence.records import MachineRecord
from deployengine.persistence.schema import machine_state


class Machines:
    """By name. A machine that nothing is known of is enabled, and of unknown health.

    Their rows are locked one in a transaction, after everything else but the audit trail.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> MachineRecord:
        """What is known of one."""
        query = select(machine_state).where(machine_state.c.machine == name)
        row = self._connection.execute(query).one_or_none()
        return _record(row) if row else MachineRecord(name)

    def all(self) -> dict[str, MachineRecord]:
        """Those of which anything is known."""
        rows = self._connection.execute(select(machine_state).order_by(machine_state.c.machine))
        return {row.machine: _record(row) for row in rows}

    def not_enabled(self) -> dict[str, MachineMode]:
        """Those that nothing new is planned for."""
        query = select(machine_state.c.machine, machine_state.c.mode)
        rows = self._connection.execute(query.where(machine_state.c.mode != MachineMode.ENABLED))
        return {row.machine: MachineMode(row.mode) for row in rows}

    def found(
        self,
        name: str,
        state: Health,
        now: datetime,
        due_at: datetime | None,
        message: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Keeps how a machine was found, and when somebody is to look again.

        Facts that were kept before stay where there are no new ones.
        """
        self._enter(name)
        same = machine_state.c.state == state
        statement = update(machine_state).where(machine_state.c.machine == name)
        values: dict[str, Any] = {
            "state": state,
            "since": case(
                (same, func.coalesce(machine_state.c.since, now)),
                else_=literal(now, machine_state.c.since.type),
            ),
            "checked_at": now,
            "message": message,
            "due_at": due_at,
        }
        if facts is not None:
            values["facts"] = facts
        self._connection.execute(statement.values(**values))

    def take(self, name: str, due_at: datetime | None, until: datetime) -> bool:
        """Takes on looking at a machine that is due; no, when somebody else has just done so.

        ``due_at`` is when it was due; should nobody keep how it was found, it is due again then.
        """
        self._enter(name)
        statement = update(machine_state).where(
            machine_state.c.machine == name, machine_state.c.due_at.is_not_distinct_from(due_at)
        )
        return self._connection.execute(statement.values(due_at=until)).rowcount == 1

    def set_mode(
        self, name: str, mode: MachineMode, reason: str | None, by: str, now: datetime
    ) -> None:
        """What somebody wants of it. One that is enabled is looked at next, as if for the first
        time.
        """
        self._enter(name)
        values: dict[str, Any] = {
            "mode": mode,
            "reason": reason,
            "changed_by": by,
            "changed_at": now,
        }
        if mode is MachineMode.ENABLED:
            values |= {"state": Health.UNKNOWN, "since": None, "message": None, "due_at": now}
        statement = update(machine_state).where(machine_state.c.machine == name)
        self._connection.execute(statement.values(**values))

    def keep(self, names: Collection[str]) -> None:
        """Forgets all others."""
        others = machine_state.c.machine.not_in(names)
        self._connection.execute(delete(machine_state).where(others))

    def _enter(self, name: str) -> None:
        self._connection.execute(insert_new(self._connection, machine_state), {"machine": name})


def _record(row: Any) -> MachineRecord:
    values = row._asdict()
    values["state"], values["mode"] = Health(values["state"]), MachineMode(values["mode"])
    return MachineRecord(**values)
