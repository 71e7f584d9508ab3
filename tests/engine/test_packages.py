"""Packages in releases and on machines, from a folder and with nothing but the engine."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deployengine.cli.documents import detail_document
from deployengine.domain.environment import Machine
from deployengine.domain.errors import AlreadyExists, InvalidInput, UnknownName
from deployengine.domain.selection import Selection
from deployengine.engine.again import NothingToRetry
from deployengine.engine.batches import Row
from deployengine.engine.claims import Claimed
from deployengine.engine.intake import Terms
from deployengine.engine.progress import ProgressView
from deployengine.engine.releases import OtherPackages, Wanted
from deployengine.packages.errors import BadArchive, LoginRefused, NoSuchPackage
from deployengine.persistence.records import DeploymentRecord
from deployengine.steps.contract import Runner
from deployengine.steps.errors import DamagedOnTheWay, DiskFull, MachineUnreachable
from tests.acceptance.catalogs import bypassing, catalog, machine, project, step
from tests.engine.test_audit import events
from tests.engine.test_pick_up import look, until_lost
from tests.engine.test_step_runs import under_way
from tests.steps.gates import Gate
from tests.support.fakes import FakeClock, House
from tests.support.machines import NetworkedHouse
from tests.support.packages import WebFeed, zip_of

SCRIPTS = {"deploy.sh": 'echo "$DEPLOYENGINE_PACKAGE_VERSION" >> ../../../../deployed\n'}


class Delivering:
    """The real way to one machine; what is brought there is counted, and may go wrong."""

    def __init__(self, machine: str, real: Runner, house: PackageHouse) -> None:
        self._machine = machine
        self._real = real
        self._house = house

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def has(self, digest: str) -> bool:
        return self._real.has(digest)

    def deliver(self, archive: Path, digest: str) -> None:
        with self._house.lock:
            self._house.tried.append(self._machine)
        self._house.on_delivery(self._machine)
        self._real.deliver(archive, digest)
        with self._house.lock:
            self._house.delivered.append((self._machine, digest))


class PackageHouse(House):
    """An engine that tells what comes to its machines, with a feed in a folder of its home."""

    def __init__(self, home: Path, redis: Redis, clock: FakeClock | None = None, **more: Any):
        super().__init__(home, redis, clock, **more)
        self.lock = threading.Lock()
        self.tried: list[str] = []
        self.delivered: list[tuple[str, str]] = []
        self.on_delivery: Callable[[str], None] = lambda _: None
        self.feed = home / "feed"
        self.feed.mkdir(exist_ok=True)

    def _runner_of(self, machine: Machine) -> Runner:
        return Delivering(machine.name, super()._runner_of(machine), self)  # type: ignore[return-value]

    def publish(self, version: str, package: str = "shop", /, **files: str) -> Path:
        """A package in the feed; files are named with ``__`` for a dot."""
        named = {file.replace("__", "."): content for file, content in files.items()}
        return zip_of(self.feed / f"{package}.{version}.zip", {**SCRIPTS, **named})

    def deploy(self, version: str, **packages: str) -> DeploymentRecord:
        """A release that is deployed to its end."""
        wanted = Wanted("app", version, None, tuple(packages.items()))
        (deployment,) = self.releases.create(wanted).deployments
        self.deliver_all()
        return self.detail(deployment.id).deployment

    def deployed(self, machine: str = "qa-1") -> list[str]:
        """What the packages' scripts have said on a machine."""
        path = self.workdir(machine) / "deployed"
        return path.read_text().split() if path.exists() else []

    def current(self, machine: str = "qa-1", package: str = "shop") -> Path:
        """The folder of the version in use."""
        return self.workdir(machine) / "packages" / package / "current"


@pytest.fixture
def house(tmp_path: Path, fake_redis: Redis) -> Iterator[PackageHouse]:
    with PackageHouse(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()
        yield house


def bring(package: str = "shop", name: str = "Bring", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "package", "package": package, "feed": "releases", **more}


def shop(*steps: dict[str, Any], machines: int = 1, **parts: Any) -> dict[str, Any]:
    more = {key: parts.pop(key) for key in ("variables", "include", "mutex") if key in parts}
    return catalog(
        project("app", process=list(steps or (bring(),)), **more),
        machines=[machine(f"qa-[1:{machines}]", "QA")],
        feeds=[{"name": "releases", "url": "feed"}],
        **parts,
    )


def said(house: House, number: int, run: int) -> str:
    """The output of a deployment's run."""
    return "".join(text for _, text in house.queries.output(house.detail(number).runs[run].id))


def stored(house: House) -> str:
    """All that the database holds, as text."""
    with house.database.connected() as connection:
        dump = connection.connection.driver_connection.iterdump()  # type: ignore[union-attr]
        return "\n".join(dump)


# ---- what a release is made of ----


def test_a_release_takes_the_newest_version_unless_one_is_said(house: PackageHouse) -> None:
    house.apply(shop())
    for version in ("1.9", "1.10", "2.0-rc1"):
        house.publish(version)
    newest = house.releases.create(Wanted("app", "1")).release
    said = house.releases.create(Wanted("app", "2", None, (("shop", "1.9"),))).release
    assert [str(p) for p in house.queries.packages(newest)] == ["shop 1.10"]
    (package,) = house.queries.packages(said)
    assert (str(package), package.feed, package.file) == ("shop 1.9", "releases", "shop.1.9.zip")


def test_the_same_release_again_changes_nothing_though_there_is_a_newer_package(
    house: PackageHouse,
) -> None:
    house.apply(shop())
    house.publish("1.0")
    house.releases.create(Wanted("app", "1"))
    house.publish("1.1")
    assert not house.releases.create(Wanted("app", "1")).new
    with pytest.raises(AlreadyExists, match="other content: packages"):
        house.releases.create(Wanted("app", "1", None, (("shop", "1.1"),)))


def test_another_file_under_the_same_version_is_another_release(house: PackageHouse) -> None:
    house.apply(shop())
    house.publish("1.0")
    house.releases.create(Wanted("app", "1"))
    house.publish("1.0", other="content")
    with pytest.raises(AlreadyExists, match="other content: packages"):
        house.releases.create(Wanted("app", "1"))


def test_what_a_release_is_made_of_is_on_record(house: PackageHouse) -> None:
    house.apply(shop())
    house.publish("1.0")
    created = house.releases.create(Wanted("app", "1"), "alice")
    (package,) = house.queries.packages(created.release)
    made = events(house)[0]
    assert made.action == "release.create"
    assert made.after is not None
    assert made.after["packages"] == [package.to_document()]


@pytest.mark.parametrize(
    ("packages", "error", "told"),
    [
        ((("shop", "9.9"),), NoSuchPackage, "feed releases has no package shop 9.9"),
        ((("shpo", "1.0"),), UnknownName, "there is no package of app 'shpo'; did you mean 'shop'"),
        ((("shop", "0.1"),), BadArchive, "damaged"),
    ],
)
def test_a_package_that_can_not_be_had_makes_no_release(
    house: PackageHouse, packages: tuple[tuple[str, str]], error: type[Exception], told: str
) -> None:
    house.apply(shop())
    house.publish("1.0")
    (house.feed / "shop.0.1.zip").write_bytes(b"no zip")
    with pytest.raises(error, match=told):
        house.releases.create(Wanted("app", "1", None, packages))
    with house.database.read() as tx:
        assert tx.releases.versions("app") == []


def test_a_project_without_packages_is_asked_for_none(house: PackageHouse) -> None:
    house.apply(shop(step("true\n")))
    with pytest.raises(UnknownName, match="no package of app 'shop'"):
        house.releases.create(Wanted("app", "1", None, (("shop", "1.0"),)))


def test_a_batch_tells_of_every_row_whose_package_can_not_be_had(house: PackageHouse) -> None:
    house.apply(shop())
    house.publish("1.0")
    rows = [
        Row(Wanted("app", "1", None, (("shop", version),)), "batch.csv", line)
        for line, version in ((2, "1.0"), (3, "7.0"), (4, "8.0"))
    ]
    rows[1:] = [
        Row(Wanted("app", str(r.line), None, r.wanted.packages), r.file, r.line) for r in rows[1:]
    ]
    with pytest.raises(InvalidInput) as refused:
        house.batches.run(rows, "nightly")
    assert [fault.line for fault in refused.value.faults] == [3, 4]
    with house.database.read() as tx:
        assert tx.releases.versions("app") == []


def test_the_same_batch_twice_asks_no_feed(house: PackageHouse) -> None:
    house.apply(shop())
    house.publish("1.0")
    rows = [Row(Wanted("app", "1", None, (("shop", "1.0"),)))]
    house.batches.run(rows, "nightly")
    shutil.rmtree(house.feed)
    house.batches.run(rows, "nightly")
    other = [Row(Wanted("app", "1", None, (("shop", "1.1"),)))]
    with pytest.raises(AlreadyExists, match="other rows"):
        house.batches.run(other, "nightly")


def test_todays_variables_leave_the_packages_as_they_are(house: PackageHouse) -> None:
    house.apply(shop(variables=[{"name": "Port", "value": "1"}]))
    house.publish("1.0")
    house.releases.create(Wanted("app", "1"))
    house.publish("1.1")
    house.apply(shop(variables=[{"name": "Port", "value": "2"}]))
    refreshed = house.releases.refresh("app", "1")
    assert refreshed.changed
    assert [str(p) for p in house.queries.packages(refreshed.release)] == ["shop 1.0"]
    assert house.releases.drift("app", "1") is None


def test_a_catalog_that_changes_meanwhile_makes_no_release_without_its_packages(
    house: PackageHouse,
) -> None:
    house.apply(shop())
    house.publish("1.0")
    house.publish("1.0", "api")
    house.database.beforehand["release"] = lambda: house.apply(shop(bring("api")))
    with pytest.raises(OtherPackages, match="try again"):
        house.releases.create(Wanted("app", "1"))
    assert house.releases.create(Wanted("app", "1")).new


# ---- on machines ----


def test_a_package_comes_to_each_machine_and_into_use(house: PackageHouse) -> None:
    house.apply(shop(step("ls packages/shop/current > seen\n", "After"), bring(), machines=2))
    house.apply(shop(bring(), step("cat packages/shop/current/deploy.sh > seen\n"), machines=2))
    house.publish("1.0")
    assert house.deploy("1").state == "succeeded"
    assert sorted(name for name, _ in house.delivered) == ["qa-1", "qa-2"]
    for name in ("qa-1", "qa-2"):
        assert house.deployed(name) == ["1.0"]
        assert (house.workdir(name) / "seen").read_text() == SCRIPTS["deploy.sh"]
    assert house.held() == {}


def test_it_comes_once_to_each_machine_whatever_is_deployed_later(house: PackageHouse) -> None:
    house.apply(shop(machines=2))
    house.publish("1.0")
    house.deploy("1")
    house.deploy("2", shop="1.0")
    house.deployments.deploy("app", "1", "QA", Terms())
    house.deliver_all()
    assert len(house.delivered) == 2
    assert house.deployed() == ["1.0", "1.0", "1.0"]
    house.publish("1.1", note="another content")
    house.deploy("3")
    assert len(house.delivered) == 4


def test_the_same_content_under_another_version_does_not_come_again(house: PackageHouse) -> None:
    house.apply(shop())
    for version in ("1.0", "1.1"):
        house.publish(version)
        house.deploy(version, shop=version)
    assert len(house.delivered) == 1
    assert house.deployed() == ["1.0", "1.1"]


def test_a_rollback_is_a_switch_back(house: PackageHouse) -> None:
    house.apply(shop())
    house.publish("1.0")
    house.publish("1.1", extra="x")
    house.deploy("1", shop="1.0")
    first = house.current().resolve()
    (first / "mark").touch()
    house.deploy("2", shop="1.1")
    assert house.current().resolve() != first
    shutil.rmtree(house.feed)
    shutil.rmtree(house.settings.home / "packages")
    back = house.again.roll_back("app", "QA", None, Terms())
    house.deliver_all()
    assert house.detail(back.id).deployment.state == "succeeded"
    assert house.current().resolve() == first
    assert (house.current() / "mark").exists()
    assert len(house.delivered) == 2
    assert house.deployed() == ["1.0", "1.1", "1.0"]


def test_versions_beyond_those_that_are_kept_go(house: PackageHouse) -> None:
    house.apply(shop(bring(keep=1)))
    for version in ("1.0", "1.1", "1.2"):
        house.publish(version, note=version)
        house.deploy(version, shop=version)
    releases = (house.current().parent / "releases").iterdir()
    assert sorted(path.name.partition("-")[0] for path in releases) == ["1.1", "1.2"]


def test_it_may_be_brought_while_a_script_has_the_machine(
    house: PackageHouse, ready: Gate, go: Gate
) -> None:
    script = "echo > ../../../ready; read x < ../../../go\n"
    parts = shop()
    parts["projects"].append(project("other", script))
    house.apply(parts)
    house.publish("1.0")
    house.create("other")
    house.deliver_chains()
    (running,) = house.dispatcher.take_runs()
    with under_way(house, running) as outcome:
        try:
            ready.hear()
            house.create("app")
            house.deliver_chains()
            (acquire,) = house.deliver_runs()
            assert acquire is not None
            assert acquire.state == "succeeded"
            house.deliver_chains()
            assert house.dispatcher.granted == []  # to bring it into use waits for the script
        finally:
            go.let()
        assert outcome.result() is not None
    house.deliver_all()
    assert house.deployed() == ["1.0"]


def test_two_that_want_the_same_package_on_a_machine_bring_it_once(house: PackageHouse) -> None:
    parts = shop()
    parts["projects"].append(project("other", process=[bring(into="packages/other")]))
    house.apply(parts)
    house.publish("1.0")
    house.create("app")
    house.create("other")
    house.deliver_chains()
    (first,) = house.dispatcher.take_runs()
    (waiting,) = [w for _, w in house.held().values() if w]
    (wait,) = house.waits.why(waiting[0])
    assert wait.reason == "resource"
    house.execute(first)
    house.deliver_all()
    assert len(house.delivered) == 1
    assert house.deployed() == ["1.0", "1.0"]


def test_so_many_machines_at_once_are_brought_packages_as_the_variable_says(
    house: PackageHouse,
) -> None:
    house.apply(shop(machines=12))
    house.publish("1.0")
    house.create("app")
    house.deliver_chains()
    assert len(house.dispatcher.take_runs()) == 10
    said = [{"name": "Octopus.Acquire.MaxParallelism", "value": "3"}]
    house.apply(shop(machines=12, variables=said))
    house.create("app", "2")
    assert house.detail(2).deployment.state == "queued"


def test_it_is_shown_as_a_stage_that_holds_nothing_of_its_machine(house: PackageHouse) -> None:
    house.apply(shop())
    house.publish("1.0")
    number = house.deploy("1").id
    acquire, into_use = detail_document(house.detail(number))["step_runs"]
    assert (acquire["step"], acquire["machine"]) == ("Acquire shop", "qa-1")
    assert (acquire["lock_mode"], into_use["lock_mode"]) == ("none", "exclusive")
    assert acquire["runs_on"] is None
    assert "shop 1.0 brought to qa-1: " in said(house, number, 0)


def test_packages_may_be_brought_into_use_machine_by_machine(house: PackageHouse) -> None:
    group = {
        "name": "Roll", "kind": "rolling", "steps": [bring()],
        "before": {"script": "echo out >> deployed\n"},
        "after": {"script": "echo in >> deployed\n"},
    }  # fmt: skip
    house.apply(shop(group, machines=3))
    house.publish("1.0")
    assert house.deploy("1").state == "succeeded"
    assert [house.deployed(f"qa-{n}") for n in (1, 2, 3)] == [["out", "1.0", "in"]] * 3


def test_with_a_mutex_for_the_whole_deployment_it_comes_as_well(house: PackageHouse) -> None:
    house.apply(shop(mutex="deployment"))
    house.publish("1.0")
    assert house.deploy("1").state == "succeeded"
    assert house.held() == {}


# ---- values ----

VARIABLES = [
    {"name": "Port", "value": "80"},
    {"name": "Token", "value": "s3cret-t0ken", "sensitive": True},
    {"name": "Logging:Level", "value": "Debug"},
]
CONFIG: Mapping[str, str] = {
    "app__conf": "port=#{Port}\ntoken=#{Token}\nversion=#{Octopus.Action.Package.PackageVersion}\n",
    "settings__json": '{"Logging": {"Level": "Info"}, "Token": ""}',
}


def configured(**more: Any) -> dict[str, Any]:
    return bring(substitute=["*.conf"], settings=["*.json"], **more)


def test_values_are_written_into_the_files_of_a_package(house: PackageHouse) -> None:
    house.apply(shop(configured(), variables=VARIABLES))
    house.publish("1.0", **CONFIG)
    assert house.deploy("1").state == "succeeded"
    assert (house.current() / "app.conf").read_text() == (
        "port=80\ntoken=s3cret-t0ken\nversion=1.0\n"
    )
    assert json.loads((house.current() / "settings.json").read_text()) == {
        "Logging": {"Level": "Debug"},
        "Token": "s3cret-t0ken",
    }


def test_the_secrets_in_them_are_nowhere_else(house: PackageHouse) -> None:
    telling = "cat app.conf\n"
    house.apply(shop(configured(), variables=VARIABLES))
    house.publish("1.0", deploy__sh=telling, **CONFIG)
    number = house.deploy("1").id
    assert "token=********" in said(house, number, 1)
    assert "s3cret-t0ken" not in stored(house)
    holding = [
        path
        for path in house.settings.home.rglob("*")
        if path.is_file() and b"s3cret-t0ken" in path.read_bytes()
    ]
    assert {path.name for path in holding} - {"catalog.yaml"} == {"app.conf", "settings.json"}


def test_other_values_are_another_folder_and_bring_nothing_new(house: PackageHouse) -> None:
    house.apply(shop(configured(), variables=VARIABLES))
    house.publish("1.0", **CONFIG)
    house.deploy("1")
    before = house.current().resolve()
    house.apply(shop(configured(), variables=[{**VARIABLES[0], "value": "81"}, *VARIABLES[1:]]))
    house.deploy("2", shop="1.0")
    assert house.current().resolve() != before
    assert "port=81" in (house.current() / "app.conf").read_text()
    assert len(house.delivered) == 1


def test_a_file_that_can_not_be_configured_fails_the_run_in_one_line(house: PackageHouse) -> None:
    house.apply(shop(configured()))
    house.publish("1.0", app__conf="#{Prot}\n")
    number = house.deploy("1").id
    (_, failed) = house.detail(number).runs
    assert failed.state == "failed"
    assert failed.message is not None
    assert failed.message.startswith("app.conf of shop 1.0: ")
    assert "Prot" in failed.message
    assert "\n" not in failed.message


def test_later_steps_know_the_package_and_where_it_is(house: PackageHouse) -> None:
    script = (
        'echo "#{Octopus.Action[Bring].Package.PackageId} '
        "#{Octopus.Action[Bring].Package.PackageVersion} "
        '#{Octopus.Action[Bring].Output.Package.InstallationDirectoryPath}" > seen\n'
    )
    house.apply(shop(bring(), step(script)))
    house.publish("1.0")
    house.deploy("1")
    words = (house.workdir("qa-1") / "seen").read_text().split()
    assert words == ["shop", "1.0", str(house.current().resolve())]


def test_the_folder_may_be_made_of_variables_and_be_known_to_files(house: PackageHouse) -> None:
    into = "apps/#{Octopus.Project.Name}-#{Octopus.Environment.Name}"
    house.apply(shop(bring(into=into, substitute=["where"])))
    house.publish("1.0", where="#{Octopus.Action.Package.CustomInstallationDirectory}/current")
    assert house.deploy("1").state == "succeeded"
    current = house.workdir("qa-1") / "apps/app-QA/current"
    assert (current / "where").read_text() == str(current)


# ---- what goes wrong ----


def failure(house: PackageHouse, number: int) -> str:
    """The message of the run that brings the package."""
    runs = [run for run in house.detail(number).runs if run.step == 0]
    assert [run.state for run in runs][-1] == "failed"
    message = runs[-1].message or ""
    assert "\n" not in message
    return message


def test_what_the_feed_has_now_must_be_what_the_release_was_made_of(house: PackageHouse) -> None:
    house.apply(shop())
    house.publish("1.0")
    house.create("app")
    house.publish("1.0", other="content")
    shutil.rmtree(house.settings.home / "packages")
    house.deliver_all()
    assert "shop 1.0 has the SHA-256 " in failure(house, 1)
    assert house.detail(1).deployment.state == "failed"
    assert house.deployed() == []


def test_a_feed_that_is_gone_is_told(house: PackageHouse) -> None:
    house.apply(shop())
    house.publish("1.0")
    house.create("app")
    shutil.rmtree(house.settings.home / "packages")
    house.apply({**shop(step("true\n")), "feeds": []})
    house.deliver_all()
    assert "there is no feed 'releases'" in failure(house, 1)


@pytest.mark.parametrize(
    "error",
    [
        DamagedOnTheWay("a package came damaged to qa-1"),
        DiskFull("qa-1: no room"),
        MachineUnreachable("qa-1 does not answer"),
        RuntimeError("something else"),
    ],
)
def test_what_goes_wrong_on_the_way_is_told_in_one_line_and_not_tried_without_end(
    house: PackageHouse, error: Exception
) -> None:
    def refuse(_machine: str) -> None:
        raise error

    house.on_delivery = refuse
    house.apply(shop(bring(retries=1)))
    house.publish("1.0")
    house.create("app")
    house.deliver_all()
    assert str(error) in failure(house, 1)
    assert house.deployed() == []
    assert house.held() == {}


def test_it_is_tried_again_as_often_as_the_step_says(house: PackageHouse) -> None:
    def refuse_once(_machine: str) -> None:
        if len(house.tried) < 3:
            raise DamagedOnTheWay("damaged")

    house.on_delivery = refuse_once
    house.apply(shop(bring(retries=2)))
    house.publish("1.0")
    assert house.deploy("1").state == "succeeded"
    assert len(house.tried) == 3
    assert [run.attempt for run in house.detail(1).runs if run.step == 0] == [1, 2, 3]


def test_an_archive_that_is_damaged_here_is_brought_anew(house: PackageHouse) -> None:
    house.apply(shop(bring(retries=1)))
    house.publish("1.0")
    house.create("app")
    (archive,) = (house.settings.home / "packages/archives").iterdir()
    archive.write_bytes(archive.read_bytes()[:-20])
    house.deliver_all()
    assert house.states(1) == ["failed", "succeeded", "succeeded"]
    assert house.deployed() == ["1.0"]


def test_one_that_is_damaged_when_values_go_into_it_is_brought_anew(house: PackageHouse) -> None:
    house.apply(shop(configured(), variables=VARIABLES))
    house.publish("1.0", **CONFIG)
    house.create("app")
    house.deliver_chains()
    house.deliver_runs()  # it is on the machine now
    house.deliver_chains()
    (archive,) = (house.settings.home / "packages/archives").iterdir()
    archive.write_bytes(archive.read_bytes()[:100])
    house.deliver_all()
    assert house.states(1) == ["succeeded", "succeeded"]
    assert "port=80" in (house.current() / "app.conf").read_text()


def test_what_values_go_into_is_at_hand_before_anybody_has_the_machine(house: PackageHouse) -> None:
    house.apply(shop(configured(), variables=VARIABLES))
    house.publish("1.0", **CONFIG)
    house.deploy("1")
    shutil.rmtree(house.settings.home / "packages")
    again = house.create("app", version="2")
    house.deliver_chains()
    shutil.rmtree(house.settings.home / "packages")
    house.deliver_runs()
    assert list((house.settings.home / "packages/archives").iterdir()) != []
    assert len(house.delivered) == 1, "it was on the machine already"
    house.deliver_all()
    assert house.detail(again.id).deployment.state == "succeeded"


def test_a_fault_of_ours_fails_the_run_and_is_not_tried_for_ever(house: PackageHouse) -> None:
    house.apply(shop(configured(), variables=VARIABLES))
    house.publish("1.0", **CONFIG)
    house.create("app")
    house.deliver_chains()
    house.deliver_runs()
    house.deliver_chains()
    archives = house.settings.home / "packages/archives"
    (archive,) = archives.iterdir()
    archive.unlink()
    archive.mkdir()  # nothing that anybody reckons with
    house.deliver_all()
    (_, failed) = house.detail(1).runs
    assert failed.state == "failed"
    assert failed.message is not None


def test_two_who_share_a_machine_do_not_switch_one_folder_at_once(house: PackageHouse) -> None:
    variables = [bypassing("True")]
    house.apply(
        catalog(
            *(
                project(f"app-{n}", process=[bring(f"shop-{n}", into="shop")], variables=variables)
                for n in "ab"
            ),
            feeds=[{"name": "releases", "url": "feed"}],
        )
    )
    for letter in "ab":
        house.publish("1.0", f"shop-{letter}", name=letter)
        house.create(f"app-{letter}")
    house.deliver_chains()
    house.deliver_runs()  # both packages are on the machine now
    house.deliver_chains()
    folder = "resource:qa-1/shop"
    holders, waiters = house.held()[folder]
    assert (len(holders), len(waiters)) == (1, 1)
    house.deliver_all()
    assert house.states(1) == house.states(2) == ["succeeded", "succeeded"]


def test_a_batch_expects_packages_only_where_a_step_needs_them(house: PackageHouse) -> None:
    others = machine("db-[1:3]", "QA", roles=["db"])
    parts = shop(bring(roles=["web"]))
    house.apply({**parts, "machines": [machine("qa-1", "QA"), others]})
    house.publish("1.0")
    house.batches.run([Row(Wanted("app", "1"))], "night")
    begun = house.batches.progress("night")
    seen = ProgressView(house.database, house.archive, house.queries, begun).look(task_cap=5)
    assert [(e.environment, e.expected) for e in seen.environments] == [("QA", 2)]


def test_the_same_content_under_two_names_comes_once(house: PackageHouse) -> None:
    house.apply(
        catalog(
            *(project(f"app-{n}", process=[bring(f"shop-{n}")]) for n in "ab"),
            feeds=[{"name": "releases", "url": "feed"}],
        )
    )
    for letter in "ab":
        house.publish("1.0", f"shop-{letter}")
        house.create(f"app-{letter}")
    house.deliver_all()
    assert house.states(1) == house.states(2) == ["succeeded", "succeeded"]
    assert len(house.delivered) == 1


def test_a_retry_brings_a_package_only_where_it_is_missing(house: PackageHouse) -> None:
    def refuse(machine: str) -> None:
        if machine == "qa-2" and house.tried.count(machine) == 1:
            raise DamagedOnTheWay("damaged")

    house.on_delivery = refuse
    house.apply(shop(machines=2))
    house.publish("1.0")
    number = house.deploy("1").id
    assert house.detail(number).deployment.state == "failed"
    assert house.deployed("qa-1") == []
    again = house.again.retry(number, Terms())
    house.deliver_all()
    assert house.detail(again.id).deployment.state == "succeeded"
    assert sorted(name for name, _ in house.delivered) == ["qa-1", "qa-2"]
    assert house.deployed("qa-1") == house.deployed("qa-2") == ["1.0"]
    with pytest.raises(NothingToRetry):
        house.again.retry(again.id, Terms())


def test_a_retry_after_a_failed_script_brings_what_is_not_there_any_more(
    house: PackageHouse,
) -> None:
    house.apply(shop())
    house.publish("1.0", deploy__sh="[ -e ../../../../mended ]\n")
    number = house.deploy("1").id
    assert house.detail(number).deployment.state == "failed"
    store = house.settings.home / "tickets/qa-1/.packages"
    shutil.rmtree(store)
    (house.workdir("qa-1") / "mended").touch()
    again = house.again.retry(number, Terms())
    house.deliver_all()
    assert house.detail(again.id).deployment.state == "succeeded"
    assert len(house.delivered) == 2


def test_who_skips_the_step_skips_what_it_needs(house: PackageHouse) -> None:
    house.apply(shop(bring(), step("true\n")))
    house.publish("1.0")
    house.deploy("1")
    house.deployments.deploy("app", "1", "QA", Terms(selection=Selection(skip=("Bring",))))
    house.deliver_all()
    assert house.states(2) == ["skipped", "succeeded"]


def test_a_login_is_read_when_it_is_needed_and_is_nowhere_in_clear(
    house: PackageHouse, caplog: pytest.LogCaptureFixture
) -> None:
    house.publish("1.0")
    with WebFeed(house.feed, login=("bob", "s3cret-t0ken")) as web:
        feed = {
            "name": "releases", "url": web.url, "username": "bob",
            "password": {"set": "Shared", "variable": "Token"},
        }  # fmt: skip

        def apply(token: str) -> None:
            secret = {"name": "Token", "value": token, "sensitive": True}
            sets = [{"name": "Shared", "variables": [secret]}]
            house.apply({**shop(), "feeds": [feed], "variable_sets": sets})

        apply("s3cret-t0ken")
        house.releases.create(Wanted("app", "1"))
        apply("wr0ng-t0ken")
        with pytest.raises(LoginRefused) as refused:
            house.releases.create(Wanted("app", "2"))
        for told in (str(refused.value), stored(house), caplog.text):
            assert "t0ken" not in told
        apply("s3cret-t0ken")
        house.releases.create(Wanted("app", "2"))


@pytest.mark.parametrize("policy", ["skip", "wait", "fail"])
def test_a_machine_that_is_away_is_gone_without_waited_for_or_fails_as_its_project_says(
    tmp_path: Path, fake_redis: Redis, policy: str
) -> None:
    with NetworkedHouse(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()
        (house.settings.home / "feed").mkdir()
        zip_of(house.settings.home / "feed/shop.1.0.zip", SCRIPTS)
        parts = shop(machines=2)
        parts["projects"][0]["unavailable_machines"] = policy
        house.apply(parts)
        house.network.cut("qa-1")
        number = house.create("app").id
        house.deliver_all()
        state = {"skip": "succeeded", "wait": "running", "fail": "failed"}[policy]
        assert house.detail(number).deployment.state == state
        assert (house.workdir("qa-2") / "deployed").exists() is (policy == "skip")
        if policy == "wait":
            house.network.mend("qa-1")
            house.check("qa-1")
            house.deliver_all()
            assert house.detail(number).deployment.state == "succeeded"
            assert (house.workdir("qa-1") / "deployed").exists()


# ---- when its worker is lost ----


def claimed_and_left(house: PackageHouse) -> Claimed:
    """The run that brings a package, claimed by a worker that does nothing more."""
    house.apply(shop())
    house.publish("1.0")
    house.create("app")
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    house.lease.beat()
    claimed = house.step_runs.claims.claim(run.run_id, run.granted_at, house.lease.name)
    assert claimed is not None
    return claimed


def test_a_worker_that_is_lost_before_it_came_leaves_it_to_another_one(
    house: PackageHouse,
) -> None:
    claimed_and_left(house)
    with house.neighbour() as other:
        until_lost(house, other)
        look(other)
        other.pick_up.join()
        assert house.states(1)[0] == "granted"
        other.deliver_all()
    assert house.detail(1).deployment.state == "succeeded"


def test_one_that_is_lost_after_it_came_had_done_its_work(house: PackageHouse) -> None:
    claimed = claimed_and_left(house)
    ticket, _ = house._run_tickets.of(claimed)
    ticket.start()
    with house.neighbour() as other:
        until_lost(house, other)
        look(other)
        other.pick_up.join()
        other.deliver_all()
    assert house.detail(1).deployment.state == "succeeded"
    assert [attempt.attempt for attempt in house.detail(1).runs if attempt.step == 0] == [1]
    assert len(house.delivered) == 1


def test_one_that_is_cancelled_while_the_feed_sends_brings_nothing(house: PackageHouse) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        go_on.wait(20)
        web.serve(handler)

    house.publish("1.0")
    with WebFeed(house.feed) as web:
        house.apply({**shop(), "feeds": [{"name": "releases", "url": web.url}]})
        house.create("app")
        shutil.rmtree(house.settings.home / "packages")
        web.instead["shop.1.0.zip"] = slowly
        house.deliver_chains()
        (run,) = house.dispatcher.take_runs()
        with under_way(house, run) as outcome:
            assert asked.wait(20)
            house.deployments.cancel(1)
            house.step_runs.cancel([run.run_id])
            found = outcome.result(20)
        assert found is not None
        assert found.state == "cancelled"
        before = set(threading.enumerate())
        go_on.set()
        for thread in before - {threading.current_thread()}:
            if thread.name == "acquisition":
                thread.join(20)
    assert house.tried == []


def test_one_that_is_cancelled_lets_go_at_once(house: PackageHouse, ready: Gate, go: Gate) -> None:
    def wait(_machine: str) -> None:
        (house.settings.home.parent / "ready").open("w").write("\n")
        (house.settings.home.parent / "go").open().readline()

    house.on_delivery = wait
    house.apply(shop())
    house.publish("1.0")
    house.create("app")
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    with under_way(house, run) as outcome:
        try:
            ready.hear()
            house.deployments.cancel(1)
            house.step_runs.cancel([run.run_id])
            found = outcome.result(20)
        finally:
            go.let()
    assert found is not None
    assert found.state == "cancelled"
    house.deliver_all()
    assert house.held() == {}
    assert house.detail(1).deployment.state == "cancelled"
