"""``deployment list``, ``show`` and ``log``: what people read of deployments."""

from __future__ import annotations

from tests.acceptance.catalogs import catalog, project
from tests.cli.conftest import Say
from tests.support.fakes import House

# ---- list ----


def test_a_name_that_is_none_is_refused_with_the_nearest(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    for option, name, said in (
        ("--project", "wbe", "there is no project 'wbe'; did you mean 'web'?"),
        ("--environment", "qa", "there is no environment 'qa'; did you mean 'QA'?"),
    ):
        for more in ((), ("--json",)):
            told = say("deployment", "list", option, name, *more, code=2)
            assert said in told.err
            assert told.out == ""


def test_what_is_there_and_has_no_deployment_is_known(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    filters = ("--project", "web", "--environment", "QA")
    assert say("deployment", "list", *filters, "--json").document == []


def test_what_has_left_the_catalog_is_known_by_its_deployments(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    house.create("web")
    there = catalog(project("api", "true\n"), environments=["Lab"])
    there["machines"][0]["environments"] = ["Lab"]
    there["lifecycles"][0]["phases"][0]["automatic"] = ["Lab"]
    house.apply(there)
    for filters in (("--project", "web"), ("--environment", "QA")):
        (found,) = say("deployment", "list", *filters, "--json").document
        assert found["id"] == "dep-1"
