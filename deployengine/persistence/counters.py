"""Numbers drawn inside the transaction that uses them, so that they come in commit order."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select, update

from deployengine.persistence.schema import counter

#: Order of arrival at admission: deployments and step runs draw from the same one.
TICKET = "ticket"
#: Authority of a step run's claim: the newer one wins on the machine.
FENCE = "fence"
#: Which rebuild of the locks in Redis is the valid one.
GENERATION = "generation"
NAMES = (TICKET, FENCE, GENERATION)

_DRAW = (
    update(counter)
    .where(counter.c.name == bindparam("which"))
    .values(value=counter.c.value + bindparam("many"))
    .returning(counter.c.value)
)


class Counters:
    """Counters that only go up; a rollback gives the numbers back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def draw(self, name: str, many: int = 1) -> int:
        """The first of ``many`` consecutive numbers that nobody else gets."""
        last: int = self._connection.execute(_DRAW, {"which": name, "many": many}).scalar_one()
        return last - many + 1

    def lock(self, name: str) -> None:
        """Lets nobody else draw before the transaction ends, so that what is seen stays true."""
        query = select(counter.c.value).where(counter.c.name == name)
        self._connection.execute(query.with_for_update())

    def value(self, name: str) -> int:
        """The last number drawn."""
        query = select(counter.c.value).where(counter.c.name == name)
        return int(self._connection.execute(query).scalar_one())
