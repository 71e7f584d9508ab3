"""Creating releases: frozen once, begun once, and refused whole."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.domain.errors import AlreadyExists, RequestError, UnknownName
from deployengine.domain.flags import UnparsableFlag
from deployengine.domain.release import BadVersion
from deployengine.engine.intake import NoMachines
from deployengine.engine.ports import LinkKind
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import bypassing, catalog, machine, project
from tests.support.fakes import House

BY_HAND = {"name": "by-hand", "phases": [{"name": "QA", "manual": ["QA"]}]}
AUTO = {"name": "auto", "phases": [{"name": "QA", "automatic": ["QA"]}]}


def shop(**more: Any) -> dict[str, Any]:
    """A catalog with one project and a channel that is deployed by hand."""
    channels = [{"name": "careful", "lifecycle": "by-hand"}]
    return catalog(project("app", "true\n", channels=channels, **more), lifecycles=[AUTO, BY_HAND])


def test_a_release_starts_its_automatic_first_phase_at_once(house: House) -> None:
    house.apply(shop())
    created = house.releases.create(Wanted("app", "1.4.0"))
    assert created.new
    (deployment,) = created.deployments
    assert (deployment.environment, deployment.state, deployment.automatic) == (
        "QA",
        "queued",
        True,
    )
    (links,) = house.dispatcher.take_chains()
    assert [link.kind for link in links] == [LinkKind.BEGIN, LinkKind.STEP, LinkKind.FINISH]
    assert links[1].label == "app 1.4.0 → QA · Install"


def test_creating_the_same_release_again_changes_nothing(house: House) -> None:
    house.apply(shop())
    first = house.releases.create(Wanted("app", "1.4.0"))
    house.dispatcher.lose()
    again = house.releases.create(Wanted("app", "  1.4.0 "))
    assert (again.release, again.new, again.deployments) == (first.release, False, [])
    assert house.dispatcher.quiet
    assert len(house.queries.deployments()) == 1


def test_the_same_version_with_other_content_is_refused(house: House) -> None:
    house.apply(shop())
    house.create("app")
    house.apply(shop(variables=[{"name": "Colour", "value": "blue"}]))
    with pytest.raises(AlreadyExists, match=r"app 1\.0 exists with other content: variables;"):
        house.releases.create(Wanted("app", "1.0"))


def test_the_same_version_on_another_channel_is_other_content(house: House) -> None:
    house.apply(shop())
    house.create("app")
    with pytest.raises(AlreadyExists, match=r"other content: channel, lifecycle;"):
        house.releases.create(Wanted("app", "1.0", "careful"))


def test_a_secret_that_is_sealed_anew_is_no_other_content(house: House) -> None:
    secret = {"name": "Token", "value": "hush-hush", "sensitive": True}
    house.apply(shop(variables=[secret]))
    house.create("app")
    # Something else changes, so that the catalog is stored again with a cipher of its own.
    house.apply({**shop(variables=[secret]), "environments": ["QA", "Staging"]})
    assert not house.releases.create(Wanted("app", "1.0")).new
    house.apply(shop(variables=[{**secret, "value": "another"}]))
    with pytest.raises(AlreadyExists):
        house.releases.create(Wanted("app", "1.0"))


def test_a_channel_picks_the_lifecycle(house: House) -> None:
    house.apply(shop())
    created = house.releases.create(Wanted("app", "1.0", "careful"))
    assert created.release.channel == "careful"
    assert created.deployments == []
    assert house.dispatcher.quiet
    with house.database.read() as tx:
        assert house.archive.snapshot(tx, created.release.snapshot_id).lifecycle.name == "by-hand"


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        (Wanted("aap", "1.0"), UnknownName, "there is no project 'aap'; did you mean 'app'?"),
        (Wanted("App", "1.0"), UnknownName, "did you mean 'app'?"),
        (Wanted("app", "1.0", "carefull"), UnknownName, "did you mean 'careful'?"),
        (Wanted("app", "one point oh"), BadVersion, "no release number"),
        (Wanted("app", ""), BadVersion, "no release number"),
    ],
)
def test_a_wrong_wish_is_refused_by_name_and_stores_nothing(
    house: House, wanted: Wanted, error: type[RequestError], said: str
) -> None:
    house.apply(shop())
    with pytest.raises(error) as refused:
        house.releases.create(wanted)
    assert said in str(refused.value)
    with house.database.read() as tx:
        assert tx.releases.versions("app") == []
        assert tx.counters.value("ticket") == 0
    assert house.dispatcher.quiet


def test_a_flag_that_says_neither_yes_nor_no_refuses_the_release_whole(house: House) -> None:
    # The catalog refuses such a value where it stands; here it comes by way of another one.
    whether = {"name": "Whether", "value": "Tru"}
    house.apply(shop(variables=[bypassing("#{Whether}"), whether]))
    with pytest.raises(UnparsableFlag, match='"Tru"'):
        house.releases.create(Wanted("app", "1.0"))
    with house.database.read() as tx:
        assert tx.releases.versions("app") == []


def test_a_release_that_could_run_nowhere_is_refused_whole(house: House) -> None:
    step = {"name": "Install", "kind": "script", "script": "true\n", "roles": ["web"]}
    machines = [machine("qa-1", "QA", roles=["database"]), machine("far", "Far", roles=["web"])]
    house.apply(
        catalog(project("app", process=[step]), environments=["QA", "Far"], machines=machines)
    )
    with pytest.raises(NoMachines, match="no step with a machine in QA"):
        house.releases.create(Wanted("app", "1.0"))
    with house.database.read() as tx:
        assert tx.releases.versions("app") == []


def test_an_empty_catalog_knows_no_project(house: House) -> None:
    with pytest.raises(UnknownName, match="there is no project 'app'"):
        house.releases.create(Wanted("app", "1.0"))
