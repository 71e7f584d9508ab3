"""The Lua scripts on a real Redis and the specification, driven side by side.

The rule is written twice on purpose; this is what holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from deployengine.domain.admission import Admission, Claim, Mode, Request
from deployengine.locks.keys import Keys
from deployengine.locks.machine_locks import MachineLocks
from deployengine.locks.scripts import Operation, Scripts, Step, operands

GENERATION = 7
RESOURCES = ("m", "m\x01", "mé")  # one name begins another, and a byte next to NUL follows
TICKETS = st.integers(0, 200)
X, S = Mode.EXCLUSIVE, Mode.SHARED
M, M1, ME = RESOURCES
# Few kinds of requests, so that they often meet: machines, some with a limit, and things on them.
KINDS = st.sampled_from(
    [
        (Claim(M, X),),
        (Claim(M, S),),
        (Claim(M, S, 2),),
        (Claim(M, S, 2),),
        (Claim(M, S, 3),),
        (Claim(M, S, 1),),
        (Claim(M, S, 2), Claim(M1, X)),
        (Claim(M, S), Claim(M1, X)),
        (Claim(M, S, 2), Claim(M1, S)),
        (Claim(M1, X),),
        (Claim(M1, S, 1), Claim(ME, X)),
        (Claim(ME, X), Claim(M, X)),
        (Claim(ME, S), Claim(M, X), Claim(M1, S)),
    ]
)
ARRIVALS = st.lists(st.tuples(TICKETS, KINDS), min_size=1, max_size=6)


class Comparison(RuleBasedStateMachine):
    """What both machines below share: tickets in any order, ids to take from, the indexes."""

    client: Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.keys = Keys("test")
        MachineLocks(self.client, "test").rebuild(GENERATION, [], [])
        self.used: dict[int, Request] = {}
        self.gone: list[str] = []

    def new_requests(self, drawn: list[tuple[int, tuple[Claim, ...]]]) -> list[Request]:
        fresh = [
            Request(f"run-{ticket}", ticket, claims)
            for ticket, claims in drawn
            if ticket not in self.used
        ]
        self.used.update({request.ticket: request for request in fresh})
        return fresh

    def stored(self) -> Admission:
        return MachineLocks(self.client, "test").snapshot(RESOURCES)

    def members(self, key: str) -> Iterator[list[str]]:
        members = cast("list[bytes]", self.client.zrange(key, 0, -1))
        return (member.decode().split("\0") for member in members)

    def check_indexes(self, state: Admission) -> None:
        """Nothing is left behind in a line, and who waits for a free place only can be found."""
        claims = {(each.id, claim) for each in state.waiting for claim in each.claims}
        lines = [
            (each.id, claim.resource, claim.mode) for each in state.waiting for claim in each.claims
        ]
        assert self.client.zcard(self.keys.waiters) == len(lines)
        assert {(i, r) for r, _, _, i in self.members(self.keys.exclusive_waiters)} == {
            (i, r) for i, r, mode in lines if mode is Mode.EXCLUSIVE
        }
        full = {(i, r, int(limit)) for r, limit, _, i in self.members(self.keys.full)}
        assert full <= {(i, claim.resource, claim.limit) for i, claim in claims}
        for request in state.waiting:
            blockers = state.blockers(request.id)
            assert blockers, f"{request.id} is left waiting without a reason"
            only = blockers[0]
            if len(blockers) == 1 and only.limit_reached and not only.earlier:
                assert (request.id, only.resource) in {(i, r) for i, r, _ in full}


class LocksAndSpecification(Comparison):
    """Each operation is carried through before the next one: both sides must agree entirely."""

    @initialize(per_call=st.sampled_from([1, 2, 3, 100]))
    def begin(self, per_call: int) -> None:
        self.locks = MachineLocks(self.client, "test", per_call)
        self.specification = Admission()

    @rule(drawn=ARRIVALS)
    def submit(self, drawn: list[tuple[int, tuple[Claim, ...]]]) -> None:
        self._submit(self.new_requests(drawn))

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        known = [each for each in self.used.values() if each.id not in self.gone]
        if known:
            self._submit(data.draw(st.lists(st.sampled_from(known), max_size=3, unique=True)))

    @precondition(lambda self: self.specification.holding)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        ids = [request.id for request in self.specification.holding]
        self._release(data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3)))

    @precondition(lambda self: self.specification.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ids = [request.id for request in self.specification.waiting]
        self._release(data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=2)))

    @precondition(lambda self: self.used)
    @rule(data=st.data(), drawn=ARRIVALS)
    def exchange(self, data: st.DataObject, drawn: list[tuple[int, tuple[Claim, ...]]]) -> None:
        """Some go, some of them come again, and others come."""
        known = [each for each in self.used.values() if each.id not in self.gone]
        some = st.lists(st.sampled_from(known), max_size=4, unique=True) if known else st.just([])
        leaving, back = data.draw(some), data.draw(some)
        self.gone += [each.id for each in leaving if each not in back]
        ids = [each.id for each in leaving]
        entering = [*back, *self.new_requests(drawn)]
        granted = self.locks.exchange(GENERATION, ids, entering)
        assert tuple(each.request_id for each in granted) == self.specification.exchange(
            ids, entering
        )

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def release_any_mixture(self, data: st.DataObject) -> None:
        ids = [request.id for request in self.used.values()]
        self._release(data.draw(st.lists(st.sampled_from([*ids, "unknown"]), max_size=3)))

    @rule()
    def rebuild(self) -> None:
        holding, waiting = self.specification.holding, self.specification.waiting
        assert self.locks.rebuild(GENERATION, holding, waiting) == []

    @invariant()
    def holders_and_queues_are_the_same(self) -> None:
        stored = self.stored()
        assert stored.holding == self.specification.holding
        assert stored.waiting == self.specification.waiting
        views = {view.resource: view for view in self.locks.holders_and_waiters()}
        for resource in RESOURCES:
            holders, waiters = (
                self.specification.holders(resource),
                self.specification.waiters(resource),
            )
            assert (resource in views) == bool(holders or waiters)
            if resource in views:
                assert {each.id for each in views[resource].holders} == set(holders)
                assert tuple(each.id for each in views[resource].waiters) == waiters
        assert self.client.zcard(self.keys.pending) == 0
        assert self.locks.advance(GENERATION) == []
        self.check_indexes(stored)

    def _submit(self, requests: list[Request]) -> None:
        granted = self.locks.submit(GENERATION, requests)
        assert tuple(each.request_id for each in granted) == self.specification.submit(*requests)

    def _release(self, ids: list[str]) -> None:
        self.gone += ids
        granted = self.locks.release(GENERATION, ids)
        assert tuple(each.request_id for each in granted) == self.specification.release(*ids)


class InterleavedCalls(Comparison):
    """Single calls with one step each, so that new events meet scans that are not finished."""

    @initialize()
    def begin(self) -> None:
        self.scripts = Scripts(self.client, self.keys)

    @rule(drawn=ARRIVALS)
    def submit(self, drawn: list[tuple[int, tuple[Claim, ...]]]) -> None:
        self._call("submit", operands(self.new_requests(drawn)))

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        ids = [request.id for request in self.used.values()]
        self._call("release", data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4)))

    @precondition(lambda self: self.used)
    @rule(data=st.data(), drawn=ARRIVALS)
    def exchange(self, data: st.DataObject, drawn: list[tuple[int, tuple[Claim, ...]]]) -> None:
        known = st.sampled_from(list(self.used.values()))
        leaving = data.draw(st.lists(known, max_size=3, unique=True))
        back = [each for each in leaving if data.draw(st.booleans())]
        entering = operands([*back, *self.new_requests(drawn)])
        self._call("exchange", [str(len(leaving)), *(each.id for each in leaving), *entering])

    @rule()
    def advance(self) -> None:
        self._call("advance", [])

    @rule()
    def drain(self) -> None:
        while self._call("advance", []).more:
            pass
        self.check_indexes(self.stored())

    def teardown(self) -> None:
        self.drain()
        while holding := self.stored().holding:
            self._call("release", [holding[0].id])
            self.drain()
        assert self.stored().waiting == ()
        assert self.client.keys() == [self.keys.generation.encode()]

    def _call(self, operation: Operation, operands: list[str]) -> Step:
        before = self.stored()
        step = self.scripts.admission(self.keys.generation, str(GENERATION), operation, 1, operands)
        assert isinstance(step, Step)
        after = self.stored()
        waited = {each.id: each for each in after.waiting}
        # Judged at the moment of the grant: it still waits, everything else is as it is now.
        fresh = {each.id for each in after.holding} - {each.id for each in before.holding}
        assert len(fresh) <= 1
        for granted in (each for each in after.holding if each.id in fresh):
            others = [each for each in after.holding if each.id not in fresh]
            moment = Admission(others, [granted, *waited.values()])
            assert moment.blockers(granted.id) == ()
        return step


@pytest.mark.parametrize(
    ("machine", "examples"), [(LocksAndSpecification, 120), (InterleavedCalls, 60)]
)
def test_locks_do_what_the_specification_says(
    machine: type[Comparison], examples: int, real_redis: Redis
) -> None:
    bound = type(machine.__name__, (machine,), {"client": real_redis})
    run_state_machine_as_test(
        bound,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
