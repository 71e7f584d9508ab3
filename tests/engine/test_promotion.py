"""Promotion over a real database, a real Redis and a real shell, carried by hand, link by link."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from deployengine.catalog import load
from deployengine.domain.deployment import DeploymentState
from deployengine.engine.batches import Row
from deployengine.engine.deployments import NotReached
from deployengine.engine.promotion import Promotion, promote
from deployengine.engine.releases import Wanted
from deployengine.persistence.records import DeploymentRecord
from deployengine.services import Services
from deployengine.settings import Settings
from tests.acceptance.catalogs import catalog, machine, project
from tests.support.engine import until
from tests.support.fakes import House
from tests.support.postgres import PostgresServer
from tests.support.servers import RedisServer

STAGES = ("QA", "Staging", "Production")


class ByHand:
    """An engine whose messages nobody takes: the test itself carries deployments along."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def apply(
        self,
        *phases: dict[str, Any],
        script: str = "true\n",
        environments: Sequence[str] = STAGES,
    ) -> None:
        """One project ``app`` with a lifecycle of these phases, one machine an environment."""
        catalog = {
            "environments": list(environments),
            "machines": [
                {"name": f"{e.lower()}-1", "environments": [e], "roles": ["web"]}
                for e in environments
            ],
            "lifecycles": [{"name": "way", "phases": list(phases)}],
            "projects": [
                {
                    "name": "app",
                    "lifecycle": "way",
                    "process": [{"name": "Install", "kind": "script", "script": script}],
                }
            ],
        }
        file = self.services.settings.home / "catalog.yaml"
        file.write_text(json.dumps(catalog), encoding="utf-8")
        self.services.catalogs.apply(load([file]).sealed(self.services.secrets.seal))

    def create(self, version: str) -> None:
        """A release of the project."""
        self.services.releases.create(Wanted("app", version))

    def all(self, version: str) -> list[DeploymentRecord]:
        """The release's deployments, the oldest first."""
        return list(self.services.queries.release("app", version).deployments)

    def where(self, version: str) -> list[str]:
        """The environments of the release's deployments, in the order in which they began."""
        return [d.environment for d in self.all(version)]

    def run(self, version: str, environment: str) -> int:
        """Carries the release's newest deployment there up to its last link: its number."""
        number = [d.id for d in self.all(version) if d.environment == environment][-1]
        assert self.services.phases.begin(number)
        self.services.phases.open_stage(number, 0)
        for run in self.services.queries.deployment(number).runs:
            assert run.granted_at is not None
            assert self.services.step_runs.execute(run.id, run.granted_at)
        return number

    def carry(self, version: str, environment: str) -> DeploymentRecord:
        """Carries it to its end."""
        number = self.run(version, environment)
        self.services.phases.finish(number)
        return self.services.queries.deployment(number).deployment


@pytest.fixture
def engine(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[ByHand]:
    """An engine in a home of its own."""
    home = Path(tempfile.mkdtemp(prefix="de-"))
    with Services.open(Settings(home, redis_url=redis_server.url)) as services:
        yield ByHand(services)
    shutil.rmtree(home)


def _automatic(*stages: str) -> list[dict[str, Any]]:
    return [{"name": stage, "automatic": [stage]} for stage in stages]


def test_a_success_opens_the_next_phase_and_the_last_one_opens_nothing(engine: ByHand) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.create("1.0")
    for stage in STAGES:
        assert engine.where("1.0")[-1] == stage
        assert engine.carry("1.0", stage).state == "succeeded"
    assert engine.where("1.0") == list(STAGES)


def test_the_last_link_delivered_twice_promotes_once(engine: ByHand) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.create("1.0")
    number = engine.carry("1.0", "QA").id
    engine.services.phases.finish(number)
    assert engine.where("1.0") == ["QA", "Staging"]


def test_the_last_link_delivered_to_eight_at_once_promotes_once(engine: ByHand) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.create("1.0")
    number = engine.run("1.0", "QA")
    together = threading.Barrier(8)

    def finish() -> None:
        together.wait()
        engine.services.phases.finish(number)

    threads = [threading.Thread(target=finish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.where("1.0") == ["QA", "Staging"]


def test_the_last_link_before_its_time_changes_nothing(engine: ByHand) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.create("1.0")
    (queued,) = engine.all("1.0")
    engine.services.phases.finish(queued.id)
    assert [d.state for d in engine.all("1.0")] == ["queued"]


def test_a_second_success_in_the_same_environment_promotes_nothing(engine: ByHand) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.create("1.0")
    engine.carry("1.0", "QA")
    engine.services.deployments.deploy("app", "1.0", "QA")
    assert engine.carry("1.0", "QA").state == "succeeded"
    assert engine.where("1.0") == ["QA", "Staging", "QA"]


def test_a_release_is_promoted_to_an_environment_once_whatever_is_believed_of_its_progress(
    engine: ByHand,
) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.create("1.0")
    succeeded = engine.carry("1.0", "QA")
    services = engine.services
    with services.database.write() as tx:
        nowhere: set[str] = set()
        again = promote(tx, succeeded, nowhere, services.archive, services.clock, services.secrets)
    assert again == Promotion([], [], [])
    assert engine.where("1.0") == ["QA", "Staging"]


def test_a_late_last_link_of_what_could_not_even_be_planned_promotes_nothing(
    engine: ByHand,
) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.create("1.0")
    number = engine.run("1.0", "QA")
    file = engine.services.settings.home / "catalog.yaml"
    fewer = json.loads(file.read_text("utf-8"))
    fewer["machines"] = [m for m in fewer["machines"] if m["name"] != "staging-1"]
    file.write_text(json.dumps(fewer), encoding="utf-8")
    engine.services.catalogs.apply(load([file]))
    engine.services.phases.finish(number)
    failed = engine.all("1.0")[-1]
    assert failed.state == "failed"
    engine.services.phases.finish(failed.id)
    assert engine.where("1.0") == ["QA", "Staging"]


def test_of_two_environments_that_end_at_once_the_last_one_opens_the_next_phase(
    postgres_server: PostgresServer, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    """On PostgreSQL, where neither transaction sees what the other has not committed yet."""
    home = Path(tempfile.mkdtemp(prefix="de-"))
    database_url = postgres_server.create_database()
    settings = Settings(home, redis_url=redis_server.url, database_url=database_url)
    with Services.open(settings) as services, ThreadPoolExecutor(1) as pool:
        engine = ByHand(services)
        both = {"name": "QA", "automatic": ["QA-a", "QA-b"]}
        engine.apply(both, *_automatic("Production"), environments=("QA-a", "QA-b", "Production"))
        engine.create("1.0")
        first, second = engine.run("1.0", "QA-a"), engine.run("1.0", "QA-b")
        release = engine.all("1.0")[0].release_id
        with services.database.write() as tx:
            tx.releases.lock(release)  # as who ends the first of them does
            tx.deployments.end(first, DeploymentState.SUCCEEDED, None, services.clock.now())
            other = pool.submit(services.phases.finish, second)
            until(lambda: other.done() or postgres_server.somebody_waits(database_url), "a wait")
        other.result(60)
        assert engine.where("1.0") == ["QA-a", "QA-b", "Production"]
    shutil.rmtree(home)


def test_only_success_promotes(engine: ByHand) -> None:
    engine.apply(*_automatic(*STAGES), script="exit 1\n")
    engine.create("1.0")
    assert engine.carry("1.0", "QA").state == "failed"
    assert engine.where("1.0") == ["QA"]


def test_what_was_cancelled_before_its_end_promotes_nothing_although_all_of_it_ran_well(
    engine: ByHand,
) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.create("1.0")
    number = engine.run("1.0", "QA")
    engine.services.deployments.cancel(number)
    engine.services.phases.finish(number)
    (cancelled,) = engine.all("1.0")
    assert (cancelled.environment, cancelled.state) == ("QA", "cancelled")


def test_an_older_release_is_never_put_over_a_newer_one_by_itself(engine: ByHand) -> None:
    engine.apply({"name": "QA", "manual": ["QA"]}, *_automatic("Staging"))
    engine.create("1.0")
    engine.create("2.0")
    engine.services.deployments.deploy("app", "2.0", "QA")
    engine.carry("2.0", "QA")
    assert engine.where("2.0") == ["QA", "Staging"]

    engine.services.deployments.deploy("app", "1.0", "QA")
    late = engine.carry("1.0", "QA")

    # It lines up behind the newer one, which may never begin; once that has, it makes way.
    assert late.state == "succeeded"
    assert engine.where("1.0") == ["QA", "Staging"]
    engine.carry("2.0", "Staging")
    (behind,) = [d for d in engine.all("1.0") if d.environment == "Staging"]
    assert not engine.services.phases.begin(behind.id)
    (behind,) = [d for d in engine.all("1.0") if d.environment == "Staging"]
    assert (behind.state, behind.message) == ("superseded", "the newer release 2.0 is there")
    # Who says so may: it is reached, and only not entered by itself.
    engine.services.deployments.deploy("app", "1.0", "Staging")
    assert engine.carry("1.0", "Staging").state == "succeeded"


def test_an_older_release_is_not_promoted_to_where_a_newer_one_has_begun(engine: ByHand) -> None:
    engine.apply({"name": "QA", "manual": ["QA"]}, *_automatic("Staging"))
    for version in ("1.0", "2.0"):
        engine.create(version)
    engine.services.deployments.deploy("app", "2.0", "QA")
    engine.carry("2.0", "QA")
    engine.carry("2.0", "Staging")
    engine.services.deployments.deploy("app", "1.0", "QA")
    late = engine.carry("1.0", "QA")
    assert (late.state, engine.where("1.0")) == ("succeeded", ["QA"])
    assert late.message == "not promoted to Staging: the newer release 2.0 is there"


def test_an_older_release_that_waited_there_by_itself_makes_way_for_a_newer_one_that_has_begun(
    engine: ByHand,
) -> None:
    engine.apply(*_automatic("QA"))
    engine.create("1.0")
    engine.create("2.0")
    (older,), (newer,) = engine.all("1.0"), engine.all("2.0")
    engine.services.order.move_to_top(newer.id)
    engine.carry("2.0", "QA")
    assert not engine.services.phases.begin(older.id)
    (older,) = engine.all("1.0")
    assert (older.state, older.message) == ("superseded", "the newer release 2.0 is there")
    assert {run.state for run in engine.services.queries.deployment(older.id).runs} == {"cancelled"}
    # Who asks for it gets it.
    engine.services.deployments.deploy("app", "1.0", "QA")
    assert engine.carry("1.0", "QA").state == "succeeded"


def test_an_older_release_goes_first_while_a_newer_one_waits_behind_it(engine: ByHand) -> None:
    engine.apply(*_automatic("QA"))
    engine.create("1.0")
    engine.create("2.0")
    for version in ("1.0", "2.0"):
        assert engine.carry(version, "QA").state == "succeeded"


def test_a_newer_release_that_failed_there_holds_an_older_one_back_for_it_may_be_half_installed(
    engine: ByHand,
) -> None:
    engine.apply(
        {"name": "QA", "manual": ["QA"]},
        *_automatic("Staging"),
        script='[ "$DEPLOYENGINE_RELEASE/$DEPLOYENGINE_ENVIRONMENT" != 2.0/Staging ]\n',
    )
    engine.create("1.0")
    engine.create("2.0")
    engine.services.deployments.deploy("app", "2.0", "QA")
    engine.carry("2.0", "QA")
    assert engine.carry("2.0", "Staging").state == "failed"

    engine.services.deployments.deploy("app", "1.0", "QA")
    engine.carry("1.0", "QA")

    assert engine.where("1.0") == ["QA"]
    engine.services.deployments.deploy("app", "1.0", "Staging")
    assert engine.carry("1.0", "Staging").state == "succeeded"


def test_as_many_as_the_minimum_open_the_next_phase_and_the_rest_open_nothing(
    engine: ByHand,
) -> None:
    names = ("QA-a", "QA-b", "QA-c", "Production")
    first = {"name": "QA", "automatic": list(names[:3]), "minimum": 2}
    engine.apply(first, *_automatic("Production"), environments=names)
    engine.create("1.0")
    assert engine.where("1.0") == list(names[:3])
    engine.carry("1.0", "QA-b")
    assert "Production" not in engine.where("1.0")
    engine.carry("1.0", "QA-a")
    engine.carry("1.0", "QA-c")
    assert engine.where("1.0").count("Production") == 1


def test_an_optional_phase_is_passed_over_and_open_to_people(engine: ByHand) -> None:
    middle = {"name": "Staging", "automatic": ["Staging"], "optional": True}
    engine.apply(*_automatic("QA"), middle, *_automatic("Production"))
    engine.create("1.0")
    engine.carry("1.0", "QA")
    assert engine.where("1.0") == ["QA", "Production"]
    engine.services.deployments.deploy("app", "1.0", "Staging")
    assert engine.carry("1.0", "Staging").state == "succeeded"
    assert engine.where("1.0") == ["QA", "Production", "Staging"]


def test_a_phase_without_environments_lets_people_into_all_that_no_phase_names(
    engine: ByHand,
) -> None:
    engine.apply(*_automatic("QA"), {"name": "Anywhere"})
    engine.create("1.0")
    with pytest.raises(NotReached, match="may not enter Production yet"):
        engine.services.deployments.deploy("app", "1.0", "Production")
    engine.carry("1.0", "QA")
    assert engine.where("1.0") == ["QA"]
    engine.services.deployments.deploy("app", "1.0", "Production")
    assert engine.carry("1.0", "Production").state == "succeeded"


def test_a_lifecycle_that_is_edited_does_not_bend_the_way_of_a_release_under_way(
    engine: ByHand,
) -> None:
    engine.apply(*_automatic("QA", "Staging"))
    engine.create("1.0")
    engine.apply(*_automatic("QA", "Production"))
    engine.carry("1.0", "QA")
    assert engine.where("1.0") == ["QA", "Staging"]


def test_a_lifecycle_that_is_edited_lets_people_deploy_a_release_where_its_own_one_says(
    engine: ByHand,
) -> None:
    engine.apply(*_automatic("QA"), {"name": "Staging", "manual": ["Staging"]})
    engine.create("1.0")
    engine.carry("1.0", "QA")
    engine.apply(*_automatic("QA"), {"name": "Production", "manual": ["Production"]})
    with pytest.raises(NotReached, match="has no phase with Production"):
        engine.services.deployments.deploy("app", "1.0", "Production")
    engine.services.deployments.deploy("app", "1.0", "Staging")
    assert engine.carry("1.0", "Staging").state == "succeeded"


def test_a_release_of_a_cancelled_batch_is_not_promoted(engine: ByHand) -> None:
    engine.apply(*_automatic(*STAGES))
    engine.services.batches.run([Row(Wanted("app", "1.0"))], "night")
    number = engine.run("1.0", "QA")
    engine.services.batches.cancel("night")
    engine.services.phases.finish(number)
    assert engine.where("1.0") == ["QA"]


def test_a_next_phase_without_machines_is_a_failure_there_and_takes_nothing_from_the_success(
    engine: ByHand,
) -> None:
    engine.apply(*_automatic("QA", "Staging"))
    engine.create("1.0")
    number = engine.run("1.0", "QA")
    file = engine.services.settings.home / "catalog.yaml"
    fewer = json.loads(file.read_text("utf-8"))
    fewer["machines"] = [m for m in fewer["machines"] if m["name"] != "staging-1"]
    file.write_text(json.dumps(fewer), encoding="utf-8")
    engine.services.catalogs.apply(load([file]))
    engine.services.phases.finish(number)
    here, there = engine.all("1.0")
    assert here.state == "succeeded"
    assert (there.environment, there.state) == ("Staging", "failed")
    assert "no step with a machine in Staging" in (there.message or "")


def test_a_promotion_that_comes_while_its_release_is_cancelled_is_cancelled_with_it(
    house: House,
) -> None:
    phases = [
        {"name": "first", "automatic": ["QA", "Lab"], "minimum": 1},
        {"name": "then", "automatic": ["S"]},
    ]
    house.apply(
        catalog(
            project("app", "true\n"),
            environments=["QA", "Lab", "S"],
            machines=[machine(f"{e}-1", e) for e in ("QA", "Lab", "S")],
            lifecycles=[{"name": "auto", "phases": phases}],
        )
    )
    created = house.releases.create(Wanted("app", "1.0"))
    house.deliver_chains()
    (of_qa, _) = house.dispatcher.take_runs()
    house.execute(of_qa)  # and its end is about to be recorded when the other one is cancelled
    house.database.meanwhile["cancel"] = house.deliver_chains
    house.deployments.cancel_release("app", "1.0")
    house.deliver_all()
    found = {d.environment: d.state.value for d in house.queries.deployments()}
    assert len(created.deployments) == 2
    assert found == {"QA": "succeeded", "Lab": "cancelled", "S": "cancelled"}
    assert house.held() == {}
