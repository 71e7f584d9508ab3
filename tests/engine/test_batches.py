"""Batches: many releases in one go, all of them or none, and the same batch once."""

from __future__ import annotations

import pytest

from deployengine.domain.errors import AlreadyExists, Fault, InvalidInput, UnknownName
from deployengine.engine.batches import Row
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import bypassing, catalog, project, three_stages
from tests.support.fakes import House

NAMES = ("app-1", "app-2", "app-3")


@pytest.fixture
def house(house: House) -> House:
    house.apply(catalog(*(project(name, "true\n") for name in NAMES)))
    return house


def rows(*names: str, version: str = "1.0") -> list[Row]:
    return [Row(Wanted(n, version), "batch.csv", at + 2) for at, n in enumerate(names)]


def faults(error: InvalidInput) -> list[str]:
    return [str(fault) for fault in error.faults]


def nothing_stored(house: House) -> bool:
    with house.database.read() as tx:
        return (
            tx.batches.names() == []
            and tx.counters.value("ticket") == 0
            and not any(tx.releases.versions(name) for name in NAMES)
        )


def test_a_batch_creates_its_releases_and_begins_them_in_the_order_of_its_rows(
    house: House,
) -> None:
    house.batches.run(rows("app-3", "app-1", "app-2"), "nightly")
    progress = house.batches.progress("nightly")
    assert [r.release.project for r in progress.releases] == ["app-3", "app-1", "app-2"]
    deployments = [d for r in progress.releases for d in r.deployments]
    tickets = [d.ticket for d in deployments if d.ticket is not None]
    assert len(tickets) == 3
    assert tickets == sorted(tickets)
    assert len(house.dispatcher.take_chains()) == 3
    assert (progress.state, progress.ended) == ("running", False)


def test_the_same_batch_again_does_nothing_new(house: House) -> None:
    first = house.batches.run(rows(*NAMES), "nightly")
    house.dispatcher.lose()
    assert house.batches.run(rows(*NAMES), "nightly") == first
    assert house.dispatcher.quiet
    assert len(house.queries.deployments()) == 3


def test_a_batch_without_a_name_is_known_by_its_rows(house: House) -> None:
    first = house.batches.run(rows("app-1"), None)
    assert house.batches.run(rows("app-1"), None) == first
    other = house.batches.run(rows("app-2"), None)
    assert other.name != first.name
    assert first.name.startswith("batch-")


def test_a_name_with_other_rows_is_refused(house: House) -> None:
    house.batches.run(rows("app-1"), "nightly")
    for other in (rows("app-1", "app-2"), rows("app-1", version="2.0"), rows("app-2")):
        with pytest.raises(AlreadyExists, match="nightly exists with other rows"):
            house.batches.run(other, "nightly")
    assert len(house.queries.deployments()) == 1


def test_every_faulty_row_is_told_at_once_and_nothing_is_stored(house: House) -> None:
    wrong = [
        Row(Wanted("app-1", "1.0"), "batch.csv", 2),
        Row(Wanted("ap-2", "1.0"), "batch.csv", 3),
        Row(Wanted("app-3", "not a version"), "batch.csv", 4),
        Row(Wanted("app-1", "1.0"), "batch.csv", 5),
        Row(Wanted("app-2", "1.0", "nowhere"), "batch.csv", 6),
    ]
    with pytest.raises(InvalidInput) as refused:
        house.batches.run(wrong, "nightly")
    told = faults(refused.value)
    assert [line.partition(": ")[0] for line in told] == [f"batch.csv:{n}" for n in (3, 4, 5, 6)]
    assert "did you mean 'app-2'?" in told[0]
    assert "app-1 1.0 stands in the batch twice (line 2)" in told[2]
    assert nothing_stored(house)
    assert house.dispatcher.quiet


def test_rows_that_could_not_be_read_are_told_with_the_others(house: House) -> None:
    unread = [Fault("version is missing", "batch.csv", 2)]
    wrong = [Row(Wanted("ap-2", "1.0"), "batch.csv", 1)]
    with pytest.raises(InvalidInput) as refused:
        house.batches.run(wrong, "nightly", faults=unread)
    told = faults(refused.value)
    assert [line.partition(": ")[0] for line in told] == ["batch.csv:1", "batch.csv:2"]
    with pytest.raises(InvalidInput, match=r"^batch.csv:2: version is missing$"):
        house.batches.run(rows("app-1"), None, faults=unread)
    assert nothing_stored(house)
    house.batches.run(rows("app-1"), None)
    with pytest.raises(InvalidInput):
        house.batches.run(rows("app-1"), None, faults=unread)


def test_a_release_that_exists_with_other_content_is_a_fault_of_its_row(house: House) -> None:
    house.create("app-2")
    house.apply(catalog(*(project(name, "false\n") for name in NAMES)))
    with pytest.raises(InvalidInput) as refused:
        house.batches.run(rows(*NAMES), "nightly")
    (told,) = faults(refused.value)
    assert told.startswith("batch.csv:3: app-2 1.0 exists with other content")


def test_a_release_that_exists_as_it_is_joins_the_batch_and_begins_nothing(house: House) -> None:
    house.create("app-2")
    house.dispatcher.lose()
    house.batches.run(rows(*NAMES), "nightly")
    assert len(house.dispatcher.take_chains()) == 2
    assert len(house.batches.progress("nightly").releases) == 3


def test_rows_that_cannot_be_planned_are_told_at_once_with_their_lines(house: House) -> None:
    # The catalog finds a value that is no boolean, not what one refers to comes to.
    wrong = [bypassing("#{Whether}"), {"name": "Whether", "value": "perhaps"}]
    house.apply(
        catalog(
            project("app-1", "true\n"),
            project("app-2", "true\n", variables=wrong),
            project("app-3", "true\n", variables=wrong),
        )
    )
    with pytest.raises(InvalidInput) as refused:
        house.batches.run(rows(*NAMES), "nightly")
    told = faults(refused.value)
    assert [line.partition(": ")[0] for line in told] == ["batch.csv:3", "batch.csv:4"]
    assert nothing_stored(house)


def test_an_empty_batch_is_refused(house: House) -> None:
    with pytest.raises(InvalidInput, match="at least one row"):
        house.batches.run([], "nightly")


def test_an_unknown_batch_is_named_with_the_nearest(house: House) -> None:
    house.batches.run(rows("app-1"), "nightly")
    for ask in (house.batches.progress, house.batches.cancel):
        with pytest.raises(UnknownName, match="did you mean 'nightly'"):
            ask("nightlie")


def test_a_batch_ends_in_the_worst_that_happened(house: House) -> None:
    house.apply(catalog(project("app-1", "true\n"), project("app-2", "exit 3\n")))
    house.batches.run(rows("app-1", "app-2"), "nightly")
    house.deliver_all()
    progress = house.batches.progress("nightly", with_runs=True)
    assert [r.state.value for r in progress.releases] == ["succeeded", "failed"]
    assert (progress.state, progress.ended) == ("failed", True)
    assert [run.state.value for run in progress.runs] == ["succeeded", "failed"]


def test_cancelling_a_batch_ends_what_is_open_and_promotes_nothing(house: House) -> None:
    house.apply(three_stages(*(project(name, "true\n") for name in NAMES)))
    house.batches.run(rows(*NAMES), "nightly")
    house.deliver_chains()
    (granted,) = house.dispatcher.take_runs()  # of the first: qa-1 is one machine
    with house.database.write() as tx:
        fence = tx.counters.draw("fence")
        tx.claims.claim(granted.run_id, "elsewhere", fence, house.clock.now(), house.clock.now())
    progress = house.batches.cancel("nightly")
    house.deliver_all()
    progress = house.batches.progress("nightly")
    assert [r.state.value for r in progress.releases] == ["running", "cancelled", "cancelled"]
    assert house.dispatcher.told_cancelled == [granted.run_id]
    assert [d.environment for d in house.queries.deployments()] == ["QA"] * 3


def test_what_succeeds_after_its_batch_was_cancelled_is_not_promoted(house: House) -> None:
    house.apply(three_stages(project("app-1", "true\n")))
    house.batches.run(rows("app-1"), "nightly")
    with house.database.write() as tx:
        # The mark is set before the deployments are cancelled one by one: here it gets no further.
        batch = tx.batches.find("nightly")
        assert batch is not None
        tx.batches.cancel(batch.id, house.clock.now())
    house.deliver_all()
    assert [(d.environment, d.state.value) for d in house.queries.deployments()] == [
        ("QA", "succeeded")
    ]
