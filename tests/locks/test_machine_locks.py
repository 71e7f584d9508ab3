"""Machine locks, sentence by sentence, on a Redis in memory, with and without decoded replies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
from redis import Redis

from deployengine.domain.admission import Blocker, Claim, Mode, Request
from deployengine.domain.errors import Unreachable
from deployengine.locks import (
    Counts,
    GenerationStale,
    Grant,
    LocksNotReady,
    MachineLocks,
    RebuildSuperseded,
    WaiterView,
)
from deployengine.locks.keys import Keys

GENERATION = 3


def set_generation(client: Redis, generation: object) -> None:
    """As it stands once the locks were loaded; a fake Redis does not say which server it is."""
    client.set(Keys("locks").generation, f"{generation}@unknown")


@pytest.fixture(params=[False, True], ids=["bytes", "text"])
def client(request: pytest.FixtureRequest) -> Redis:
    server = fakeredis.FakeRedis(decode_responses=request.param)
    set_generation(server, GENERATION)
    return server


@pytest.fixture
def locks(client: Redis) -> MachineLocks:
    return MachineLocks(client, "locks")


def alone(ticket: int, *resources: str) -> Request:
    return Request(f"r{ticket}", ticket, tuple(Claim(each, Mode.EXCLUSIVE) for each in resources))


def together(ticket: int, *resources: str, limit: int | None = None) -> Request:
    claims = tuple(Claim(each, Mode.SHARED, limit) for each in resources)
    return Request(f"r{ticket}", ticket, claims)


def ids(grants: list[Grant]) -> list[str]:
    return [grant.request_id for grant in grants]


def test_a_release_frees_and_grants_the_next_in_line(locks: MachineLocks) -> None:
    queue = [together(1, "web"), together(2, "web"), alone(3, "web")]
    queue += [together(4, "web"), together(5, "web")]

    assert ids(locks.submit(GENERATION, queue)) == ["r1", "r2"]
    assert ids(locks.release(GENERATION, ["r1"])) == []
    assert ids(locks.release(GENERATION, ["r2"])) == ["r3"]
    assert ids(locks.release(GENERATION, ["r3"])) == ["r4", "r5"]


def test_thirty_runs_are_submitted_in_one_call_of_one_script(locks: MachineLocks) -> None:
    runs = [alone(n, f"prod-{n:02}") for n in range(1, 31)]

    assert ids(locks.submit(GENERATION, runs[::-1])) == [run.id for run in runs]


def test_a_doubled_submit_changes_nothing_and_tells_again_who_holds(locks: MachineLocks) -> None:
    first = locks.submit(GENERATION, [alone(1, "web"), alone(2, "web")])

    assert locks.submit(GENERATION, [alone(1, "web"), alone(2, "web")]) == first
    assert locks.counts() == Counts(requests=2, holding_claims=1, waiting_claims=1, pending=0)


def test_a_doubled_late_or_unknown_release_does_nothing(locks: MachineLocks) -> None:
    locks.submit(GENERATION, [alone(1, "web"), alone(2, "web"), alone(3, "web")])

    assert ids(locks.release(GENERATION, ["r1", "r1"])) == ["r2"]
    assert locks.release(GENERATION, ["r1", "nobody"]) == []
    assert locks.granted_ids() == {"r2"}
    assert locks.waiting_ids() == {"r3"}


def test_after_the_last_release_no_key_is_left_but_the_generation(
    locks: MachineLocks, client: Redis
) -> None:
    crowd = [together(n, "web", limit=1) for n in range(1, 4)]
    locks.submit(GENERATION, [*crowd, alone(4, "web", "iis"), alone(5, "iis")])
    locks.release(GENERATION, ["r1", "r2", "r3", "r4", "r5"])

    assert client.dbsize() == 1
    assert locks.generation() == GENERATION


def test_a_cancelled_shared_waiter_lets_the_exclusive_one_behind_it_in(locks: MachineLocks) -> None:
    crosswise = Request("r2", 2, (Claim("iis", Mode.EXCLUSIVE), Claim("web", Mode.SHARED)))
    locks.submit(GENERATION, [alone(1, "iis"), crosswise, alone(3, "web")])

    assert ids(locks.release(GENERATION, ["r2"])) == ["r3"]


def test_a_cancelled_exclusive_waiter_lets_the_shared_ones_behind_it_in(
    locks: MachineLocks,
) -> None:
    line = [together(1, "web"), alone(2, "web"), together(3, "web"), alone(4, "web")]
    locks.submit(GENERATION, [*line, together(5, "web")])

    assert ids(locks.release(GENERATION, ["r2"])) == ["r3"]


def test_two_places_that_are_freed_at_once_go_to_the_two_earliest(locks: MachineLocks) -> None:
    locks.submit(GENERATION, [together(n, "web", limit=2) for n in range(1, 6)])

    assert ids(locks.release(GENERATION, ["r1", "r2"])) == ["r3", "r4"]


def test_a_place_goes_to_the_next_if_the_earliest_lacks_more_by_now(locks: MachineLocks) -> None:
    waiter = Request("r4", 4, (Claim("iis", Mode.EXCLUSIVE), Claim("web", Mode.SHARED, 1)))
    locks.submit(GENERATION, [together(1, "web", limit=1), waiter, together(5, "web", limit=1)])
    locks.submit(GENERATION, [alone(2, "iis")])

    assert ids(locks.release(GENERATION, ["r1"])) == ["r5"]


def test_free_places_are_found_for_each_limit_after_a_limit_was_changed(
    locks: MachineLocks,
) -> None:
    old = [together(n, "web", limit=3) for n in (1, 2, 3, 4)]
    new = [together(n, "web", limit=2) for n in (5, 6)]
    locks.submit(GENERATION, old + new)

    assert ids(locks.release(GENERATION, ["r1", "r2", "r3"])) == ["r4", "r5"]
    assert ids(locks.release(GENERATION, ["r4"])) == ["r6"]


def test_a_candidate_for_a_place_that_lacks_more_by_now_is_struck_off(
    locks: MachineLocks, client: Redis
) -> None:
    waiter = Request("r4", 4, (Claim("iis", Mode.EXCLUSIVE), Claim("web", Mode.SHARED, 1)))
    locks.submit(GENERATION, [together(1, "web", limit=1), waiter])
    locks.submit(GENERATION, [alone(2, "iis")])
    assert client.zcard(Keys("locks").full) == 1

    assert locks.release(GENERATION, ["r1"]) == []
    assert client.zcard(Keys("locks").full) == 0
    assert ids(locks.release(GENERATION, ["r2"])) == ["r4"]


@pytest.mark.parametrize("found", [None, "2", "4"])
def test_under_another_generation_nothing_is_changed(
    locks: MachineLocks, client: Redis, found: str | None
) -> None:
    locks.submit(GENERATION, [alone(1, "web"), alone(2, "web")])
    client.delete(Keys("locks").generation)
    if found:
        set_generation(client, found)
    before = locks.holders_and_waiters()

    operations: list[Callable[[], object]] = [
        lambda: locks.submit(GENERATION, [alone(3, "web")]),
        lambda: locks.release(GENERATION, ["r1"]),
        lambda: locks.advance(GENERATION),
    ]
    for operation in operations:
        with pytest.raises(LocksNotReady) as refused:
            operation()
        assert refused.value.found == (found or "")
    assert locks.holders_and_waiters() == before


def test_a_rebuild_replaces_everything_and_grants_what_is_free(locks: MachineLocks) -> None:
    locks.submit(GENERATION, [alone(1, "web"), alone(99, "old")])

    grants = locks.rebuild(
        GENERATION + 1,
        granted=[together(5, "web"), together(9, "web")],
        waiting=[together(12, "web"), alone(8, "web"), alone(7, "iis")],
    )

    assert ids(grants) == ["r7"]
    assert locks.granted_ids() == {"r5", "r9", "r7"}
    assert locks.waiting_ids() == {"r8", "r12"}
    with pytest.raises(LocksNotReady):
        locks.submit(GENERATION, [alone(20, "web")])
    assert ids(locks.release(GENERATION + 1, ["r5", "r9"])) == ["r8"]


def test_a_rebuild_of_more_than_one_chunk_leaves_one_line(client: Redis) -> None:
    locks = MachineLocks(client, "locks", per_call=100)
    waiting = [alone(n, "web") if n % 3 else together(n, "web") for n in range(2, 1202)]

    assert locks.rebuild(GENERATION, [alone(1, "web")], waiting[::-1]) == []
    assert locks.snapshot(["web"]).waiters("web") == tuple(each.id for each in waiting)


def test_nobody_is_let_in_while_a_rebuild_is_under_way(locks: MachineLocks) -> None:
    def meanwhile() -> Iterator[Request]:
        yield alone(1, "web")
        assert (locks.generation(), locks.lost()) == (None, False)
        with pytest.raises(LocksNotReady):
            locks.submit(GENERATION, [alone(2, "web")])

    locks.rebuild(GENERATION, meanwhile(), [])

    assert locks.granted_ids() == {"r1"}


def test_locks_that_nobody_loads_are_lost(locks: MachineLocks, client: Redis) -> None:
    assert not locks.lost()
    client.flushall()
    assert locks.lost()


def test_the_newer_of_two_rebuilds_wins_and_the_other_leaves_no_trace(
    locks: MachineLocks, client: Redis
) -> None:
    newer = MachineLocks(client, "locks")

    def overtaken() -> Iterator[Request]:
        yield alone(1, "web")
        newer.rebuild(GENERATION + 1, [alone(2, "web")], [])

    with pytest.raises(RebuildSuperseded):
        locks.rebuild(GENERATION, overtaken(), [alone(3, "web")])
    assert locks.granted_ids() == {"r2"}
    assert locks.waiting_ids() == frozenset()
    assert locks.generation() == GENERATION + 1


def test_a_rebuild_for_an_older_generation_is_refused(locks: MachineLocks) -> None:
    locks.submit(GENERATION, [alone(1, "web")])

    with pytest.raises(GenerationStale, match=f"generation {GENERATION}, newer than 2"):
        locks.rebuild(2, [], [])
    assert locks.granted_ids() == {"r1"}


def test_a_rebuild_that_died_half_way_is_done_again_by_the_next(locks: MachineLocks) -> None:
    def dies() -> Iterator[Request]:
        yield from (alone(n, f"web-{n}") for n in range(600))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        locks.rebuild(GENERATION, dies(), [])
    assert locks.generation() is None

    locks.rebuild(GENERATION, [alone(7, "web-7")], [])
    assert locks.granted_ids() == {"r7"}


def test_a_wake_larger_than_one_call_is_carried_through(client: Redis) -> None:
    locks = MachineLocks(client, "locks", per_call=10)
    crowd = [together(n, "web") for n in range(2, 60)]
    locks.submit(GENERATION, [alone(1, "web"), *crowd])

    assert ids(locks.release(GENERATION, ["r1"])) == [each.id for each in crowd]


def test_a_view_names_holders_and_waiters_with_their_times_and_places(locks: MachineLocks) -> None:
    locks.submit(GENERATION, [together(1, "web-1"), alone(2, "web-1"), together(3, "web-1")])
    locks.submit(GENERATION, [alone(4, "web-10"), alone(5, "db")])

    one, ten = locks.holders_and_waiters("web-")

    assert (one.resource, ten.resource) == ("web-1", "web-10")
    assert [(each.id, each.mode) for each in one.holders] == [("r1", Mode.SHARED)]
    assert [(each.id, each.mode, each.position) for each in one.waiters] == [
        ("r2", Mode.EXCLUSIVE, 1),
        ("r3", Mode.SHARED, 2),
    ]
    moments = [each.since for each in one.holders + ten.holders]
    moments += [each.since for each in one.waiters]
    assert all(abs(datetime.now(UTC) - each) < timedelta(minutes=1) for each in moments)
    assert [each.resource for each in locks.holders_and_waiters()] == ["db", "web-1", "web-10"]


def test_a_single_request_is_shown_with_its_claims_and_times(locks: MachineLocks) -> None:
    asked = together(1, "web", limit=4)
    (grant,) = locks.submit(GENERATION, [asked])

    record = locks.view("r1")

    assert record is not None
    assert record.request == asked
    assert record.granted_at == grant.granted_at
    assert record.submitted_at <= grant.granted_at
    assert locks.view("nobody") is None


def test_a_snapshot_explains_why_a_request_waits(locks: MachineLocks) -> None:
    locks.submit(GENERATION, [alone(1, "iis", "db"), alone(2, "iis"), alone(3, "web", "iis")])

    snapshot = locks.snapshot(["web", "iis"])

    assert snapshot.blockers("r3") == (
        Blocker("iis", Mode.EXCLUSIVE, holders=("r1",), earlier=("r2",), limit_reached=False),
    )


def test_a_server_that_is_not_the_one_that_was_loaded_is_unknown(real_redis: Redis) -> None:
    # An old snapshot, or a replica that was promoted, has the generation and lacks what came after.
    locks = MachineLocks(real_redis, "locks")
    locks.rebuild(GENERATION, [], [])
    assert ids(locks.submit(GENERATION, [alone(1, "web")])) == ["r1"]
    real_redis.set(Keys("locks").generation, f"{GENERATION}@anotherserver")

    with pytest.raises(LocksNotReady, match="another server"):
        locks.release(GENERATION, ["r1"])

    assert (locks.generation(), locks.lost()) == (GENERATION, True)
    locks.rebuild(GENERATION + 1, [], [])
    assert not locks.lost()
    assert ids(locks.submit(GENERATION + 1, [alone(2, "web")])) == ["r2"]


@pytest.mark.parametrize(
    "read",
    [
        MachineLocks.generation,
        MachineLocks.loading,
        MachineLocks.lost,
        MachineLocks.counts,
        lambda locks: locks.view("r1"),
        MachineLocks.granted_ids,
        MachineLocks.grants,
        MachineLocks.ids,
        MachineLocks.waiting_tickets,
        MachineLocks.waiting_ids,
        MachineLocks.holders_and_waiters,
        lambda locks: locks.snapshot(["web"]),
    ],
)
def test_whoever_reads_locks_that_are_not_there_is_told_that_redis_cannot_be_reached(
    read: Callable[[MachineLocks], object],
) -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    with fakeredis.FakeRedis(server=server) as nobody, pytest.raises(Unreachable, match="Redis"):
        read(MachineLocks(nobody, "locks"))


def test_who_leaves_and_comes_again_in_one_call_is_passed_by_nobody_later_and_has_waited_on(
    locks: MachineLocks,
) -> None:
    locks.submit(GENERATION, [alone(1, "web"), alone(3, "web", "db"), alone(5, "db")])
    before = {each.id: each.since for each in waiters(locks, "db")}

    granted = locks.exchange(GENERATION, ["r3"], [replace(alone(4, "web", "db"), id="r3")])

    assert granted == []
    assert {each.id: each.since for each in waiters(locks, "db")} == before
    assert ids(locks.exchange(GENERATION, ["r1"], [alone(6, "web")])) == ["r3"]


def waiters(locks: MachineLocks, resource: str) -> tuple[WaiterView, ...]:
    (view,) = locks.holders_and_waiters(resource)
    return view.waiters
