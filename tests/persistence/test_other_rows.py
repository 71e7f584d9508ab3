"""Releases, batches, the catalog, outputs, the roll of workers, and the summaries."""

from __future__ import annotations

import pytest

from deployengine.domain.deployment import RunState
from deployengine.domain.release import Snapshot
from deployengine.persistence import Conflict, Database, Transaction
from tests.persistence.conftest import (
    DIGEST,
    NOW,
    add_deployment,
    add_release,
    add_step,
    at_once,
    drawn,
    later,
)

# ---- releases ----


def test_a_release_is_found_by_project_and_version_and_by_id(database: Database) -> None:
    with database.write() as tx:
        number = add_release(tx, "app", "1.4.0")
        add_release(tx, "app", "1.5.0")
        add_release(tx, "shop", "1.4.0")
        found = tx.releases.find("app", "1.4.0")
        assert found == tx.releases.get(number)
        assert found is not None
        document = {"project": "app", "version": "1.4.0", "channel": None}
        assert (found.id, found.created_at) == (number, NOW)
        assert found.digest == Snapshot(document).digest
        assert tx.releases.versions("app") == ["1.4.0", "1.5.0"]
        assert tx.releases.find("app", "9") is None
        assert tx.releases.get(99) is None
        assert tx.releases.snapshot(found.snapshot_id) == document


def test_a_version_exists_once_per_project(database: Database) -> None:
    with database.write() as tx:
        add_release(tx)
    with pytest.raises(Conflict), database.write() as tx:
        add_release(tx)


def test_a_snapshot_comes_back_letter_for_letter(database: Database) -> None:
    release = {"project": "app", "version": "1.0", "channel": "hotfix"}
    document = {
        **release,
        "text": "Grüße, 'quotes', \\n and ☂",
        "number": 1.5,
        "none": None,
        "list": [1, []],
    }
    with database.write() as tx:
        added = tx.releases.add(Snapshot(document), NOW)
        assert tx.releases.snapshot(added.snapshot_id) == document


# ---- batches ----


def test_a_batch_keeps_the_order_of_its_releases(database: Database) -> None:
    with database.write() as tx:
        numbers = [add_release(tx, name) for name in ("c", "a", "b")]
        batch = tx.batches.add("nightly", DIGEST, [numbers[1], numbers[2], numbers[0]], NOW)
        assert [r.project for r in tx.batches.releases(batch)] == ["a", "b", "c"]
        found = tx.batches.find("nightly")
        assert found is not None
        assert (found.id, found.digest, found.cancelled_at) == (batch, DIGEST, None)
        assert tx.batches.find("weekly") is None
        assert tx.batches.names() == ["nightly"]


def test_a_batchs_name_is_taken_once(database: Database) -> None:
    with database.write() as tx:
        release = add_release(tx)
        tx.batches.add("nightly", DIGEST, [release], NOW)
    with pytest.raises(Conflict), database.write() as tx:
        tx.batches.add("nightly", DIGEST, [release], NOW)


def test_cancelling_a_batch_marks_its_releases_and_no_others(database: Database) -> None:
    with database.write() as tx:
        inside, both, outside = (add_release(tx, name) for name in ("in", "both", "out"))
        batch = tx.batches.add("one", DIGEST, [inside, both], NOW)
        tx.batches.add("two", DIGEST, [both, outside], NOW)
        tx.batches.cancel(batch, later(1))
        tx.batches.cancel(batch, later(2))
        found = tx.batches.find("one")
        assert found is not None
        assert found.cancelled_at == later(1)
        assert [tx.batches.cancelled(r) for r in (inside, both, outside)] == [True, True, False]


# ---- the catalog ----


def test_the_catalog_is_replaced_as_a_whole_and_read_in_its_order(database: Database) -> None:
    with database.write() as tx:
        tx.catalog.replace(
            [
                ("environment", "Staging", {"name": "Staging"}),
                ("environment", "QA", {"name": "QA"}),
                ("project", "QA", {"name": "QA", "of": "project"}),
            ]
        )
        assert tx.catalog.names("environment") == ["Staging", "QA"]
        assert tx.catalog.documents("project") == [{"name": "QA", "of": "project"}]
        assert tx.catalog.find("environment", ["QA", "none"]) == {"QA": {"name": "QA"}}
        tx.catalog.replace([("environment", "QA", {"name": "QA", "description": "new"})])
        assert tx.catalog.all() == {("environment", "QA"): {"name": "QA", "description": "new"}}
        tx.catalog.replace([])
        assert tx.catalog.all() == {}


# ---- outputs ----


def a_run(tx: Transaction) -> int:
    (run,) = tx.runs.of_deployment(add_step(tx))
    return run.id


def test_pieces_come_in_order_and_from_where_one_has_read(database: Database) -> None:
    with database.write() as tx:
        run = a_run(tx)
        tx.outputs.append(run, 0, 6, "first\n")
        tx.outputs.append(run, 6, 12, "second")
        tx.outputs.append(run, 12, 13, "\n")
        assert tx.outputs.pieces(run) == [(6, "first\n"), (12, "second"), (13, "\n")]
        assert tx.outputs.pieces(run, 6) == [(12, "second"), (13, "\n")]
        assert tx.outputs.pieces(run, 13) == []
        assert tx.outputs.pieces(run + 1) == []


def test_what_is_stored_again_takes_the_place_of_what_was_stored_there(
    database: Database,
) -> None:
    with database.write() as tx:
        run = a_run(tx)
        tx.outputs.append(run, 0, 6, "first\n")
        tx.outputs.append(run, 6, 9, "sec")
        tx.outputs.append(run, 6, 12, "second")  # the answer to the one before got lost
        assert tx.outputs.pieces(run) == [(6, "first\n"), (12, "second")]


def test_the_stored_output_ends_at_its_last_byte_and_its_last_character(
    database: Database,
) -> None:
    with database.write() as tx:
        run = a_run(tx)
        assert tx.outputs.end(run) == (0, 0)
        tx.outputs.append(run, 0, 4, "äö")
        tx.outputs.append(run, 4, 9, "\N{REPLACEMENT CHARACTER}\N{GRINNING FACE}")
        assert tx.outputs.end(run) == (9, 4)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("text", ["a\nb\nc\nd\n", "a\nb\nc\nd", "a\n\n\nd\n", "only", ""])
@pytest.mark.parametrize("lines", [1, 2, 4, 9])
def test_the_tail_is_that_of_the_whole_text_however_it_was_cut(
    embedded: Database, text: str, size: int, lines: int
) -> None:
    with embedded.write() as tx:
        run = a_run(tx)
        for start in range(0, len(text), size):
            piece = text[start : start + size]
            tx.outputs.append(run, start, start + len(piece), piece)
        assert tx.outputs.tail(run, lines) == text.splitlines()[-lines:]


# ---- workers ----


def test_a_worker_is_at_work_until_it_leaves_or_is_lost_and_its_signs_of_life_are_counted(
    database: Database,
) -> None:
    with database.write() as tx:
        tx.workers.enter("b", 5, later(0))
        tx.workers.enter("a", 4, later(0))
        assert tx.workers.beat("a", later(9))
        a, b = tx.workers.at_work()
        assert (a.name, a.task_cap, a.started_at, a.seen_at) == ("a", 4, later(0), later(9))
        assert (a.beat, b.beat) == (1, 0)
        tx.workers.leave("a", later(10))
        tx.workers.leave("a", later(11))
        assert [w.name for w in tx.workers.at_work()] == ["b"]
        assert tx.workers.lose("b", 0, later(12))
        assert tx.workers.at_work() == []


def test_a_worker_is_remembered_with_its_time_until_it_is_forgotten(database: Database) -> None:
    with database.write() as tx:
        tx.workers.enter("a", 3, later(0))
        tx.workers.leave("a", later(10))
        tx.workers.enter("b", 5, later(20))
        (a,) = tx.workers.during(later(10), later(19))
        assert (a.name, a.left_at, a.seen_at) == ("a", later(10), later(10))
        assert tx.workers.during(later(11), later(19)) == []
        assert [w.name for w in tx.workers.during(later(5), later(20))] == ["a", "b"]
        tx.workers.forget(later(11))
        assert [w.name for w in tx.workers.during(later(0), later(99))] == ["b"]


@pytest.mark.parametrize("how", ["left", "lost", "never entered"])
def test_a_worker_that_is_gone_gives_no_sign_of_life_under_its_name(
    database: Database, how: str
) -> None:
    with database.write() as tx:
        if how != "never entered":
            tx.workers.enter("a", 3, later(0))
        if how == "left":
            tx.workers.leave("a", later(10))
        if how == "lost":
            assert tx.workers.lose("a", 0, later(10))
        assert not tx.workers.beat("a", later(20))
        assert tx.workers.at_work() == []
        assert not tx.workers.lose("a", 0, later(30))


def test_a_worker_whose_count_has_moved_is_not_declared_lost(database: Database) -> None:
    with database.write() as tx:
        tx.workers.enter("a", 3, later(0))
        assert tx.workers.beat("a", later(1))
        assert not tx.workers.lose("a", 0, later(2))
        (a,) = tx.workers.at_work()
        assert (a.beat, a.lost_at) == (1, None)
        assert tx.workers.lose("a", 1, later(2))
        (a,) = tx.workers.during(later(0), later(9))
        assert (a.lost_at, a.seen_at) == (later(2), later(1))


def test_of_many_that_declare_a_worker_lost_at_once_one_has_done_it(database: Database) -> None:
    with database.write() as tx:
        tx.workers.enter("a", 3, later(0))

    def lose() -> bool:
        with database.write() as tx:
            return tx.workers.lose("a", 0, later(9))

    assert sorted(at_once(4, lose)) == [False, False, False, True]


# ---- summaries ----


def test_runs_are_counted_by_environment_and_state(database: Database) -> None:
    with database.write() as tx:
        release = add_release(tx)
        batch = tx.batches.add("nightly", DIGEST, [release], NOW)
        for environment, machines in (("QA", 1), ("Staging", 3)):
            number = add_deployment(tx, release, environment)
            tx.runs.add(number, 0, [(f"m-{n}", "shared") for n in range(machines)])
        first = tx.runs.make_ready(1, 0, drawn(tx), NOW)
        assert tx.views.run_counts(batch) == {
            ("QA", RunState.WAITING): 1,
            ("Staging", RunState.PENDING): 3,
        }
        assert tx.views.granted_counts(batch, [first[0].id, 99]) == {"QA": 1}
        assert tx.views.granted_counts(batch, []) == {}
        tx.claims.claim(first[0].id, "worker-1", 1, NOW, NOW)
        assert tx.views.granted_counts(batch, [first[0].id]) == {}
        assert [r.machine for r in tx.runs.of_batch(batch)] == ["m-0", "m-0", "m-1", "m-2"]


def test_durations_are_those_of_the_latest_successes(database: Database) -> None:
    with database.write() as tx:
        deployment = add_step(tx, ["m-1", "m-2", "m-1b", "m-3"])
        for place, run in enumerate(tx.runs.of_step(deployment, 0)):
            tx.claims.claim(run.id, "worker-1", place, NOW, later(10))
            state = RunState.FAILED if run.machine == "m-3" else RunState.SUCCEEDED
            tx.runs.end(run.id, state, later(10 + 2 ** (place + 1)), 0)
        assert tx.views.durations() == [8.0, 4.0, 2.0]
        assert tx.views.durations(limit=2) == [8.0, 4.0]
        assert tx.views.durations("m-1") == [2.0]
        assert tx.views.durations("m-3") == []
