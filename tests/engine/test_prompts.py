"""Prompted variables, and variables that a release takes anew."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.domain.errors import UnknownName
from deployengine.domain.prompts import MissingValues
from deployengine.engine.intake import PLAIN, Terms
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import BYPASS, catalog, project
from tests.support.fakes import House

MANUAL = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
SAYS = 'echo "#{Who} #{Word}" > said\n'


def ready(house: House, *variables: dict[str, Any], script: str = SAYS) -> None:
    house.apply(catalog(project("app", script, variables=list(variables)), lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))


def said(house: House) -> str:
    return (house.workdir("qa-1") / "said").read_text().strip()


def deploy(house: House, **values: str) -> int:
    number = house.deployments.deploy("app", "1.0", "QA", Terms(values=values)).id
    house.deliver_all()
    return number


WHO = {"name": "Who", "prompt": {"label": "Who is it for?", "required": True}}
WORD = {"name": "Word", "value": "hello", "prompt": {}}
SECRET = {"name": "Word", "prompt": {"required": True}, "sensitive": True}


def test_values_that_are_given_for_a_deployment_are_in_its_scripts_and_in_no_other(
    house: House,
) -> None:
    ready(house, WHO, WORD)
    deploy(house, who="ann", Word="bye")
    assert said(house) == "ann bye"
    deploy(house, Who="bob")
    assert said(house) == "bob hello"


@pytest.mark.parametrize("required", [False, True])
def test_an_empty_answer_takes_what_stands_there(house: House, required: bool) -> None:
    ready(house, WHO, {**WORD, "prompt": {"required": required}})
    deploy(house, Who="ann", Word="")
    assert said(house) == "ann hello"


def test_a_name_that_nobody_asks_for_is_refused_without_a_value_as_well(house: House) -> None:
    ready(house, WORD, script="true\n")
    with pytest.raises(UnknownName, match="'Wrod'; did you mean 'Word'"):
        deploy(house, Wrod="")


def test_what_must_be_given_and_was_not_is_told_all_at_once(house: House) -> None:
    ready(house, WHO, {"name": "Word", "prompt": {"required": True}})
    with pytest.raises(MissingValues, match="app asks for Who, Word"):
        deploy(house)
    with pytest.raises(MissingValues, match="app asks for Word"):
        deploy(house, Who="ann", Word="")
    assert house.queries.deployments() == []


def test_of_several_values_of_one_name_one_without_a_default_must_be_given(house: House) -> None:
    there = {"name": "Who", "value": "all", "scope": {"roles": ["web"]}, "prompt": {}}
    ready(house, {**there, "prompt": {"required": True}}, WHO, WORD)
    with pytest.raises(MissingValues, match="app asks for Who"):
        deploy(house)


def test_a_value_that_nobody_asks_for_is_refused_with_the_nearest_name(house: House) -> None:
    ready(house, WORD, script="true\n")
    with pytest.raises(UnknownName, match="'Wrod'; did you mean 'Word'"):
        deploy(house, Wrod="x")


def test_a_prompt_for_another_environment_asks_nothing_here(house: House) -> None:
    house.apply(
        catalog(
            project(
                "app",
                "true\n",
                variables=[{**WHO, "scope": {"environments": ["Production"]}}],
            ),
            environments=["QA", "Production"],
            lifecycles=MANUAL,
        )
    )
    house.releases.create(Wanted("app", "1.0"))
    house.deployments.deploy("app", "1.0", "QA", PLAIN)


def test_what_was_given_is_kept_sealed_and_masked_when_it_is_a_secret(house: House) -> None:
    ready(house, {"name": "Who", "value": "ann"}, SECRET, script='echo "#{Word}"\n')
    number = deploy(house, Word="hush-hush")
    detail = house.detail(number)
    assert "hush-hush" not in str(detail.deployment.options)
    (_, text), *_ = house.queries.output(detail.runs[0].id)
    assert text == "********\n"


def test_a_secret_that_must_be_given_is_asked_for_as_any_other_value(house: House) -> None:
    ready(house, {"name": "Who", "value": "ann"}, SECRET)
    with pytest.raises(MissingValues, match="app asks for Word"):
        deploy(house)
    deploy(house, Word="hush-hush")
    assert said(house) == "ann hush-hush"


@pytest.mark.parametrize("sensitive", [False, True])
def test_no_release_is_created_that_would_go_out_by_itself_without_what_must_be_given(
    house: House, sensitive: bool
) -> None:
    house.apply(catalog(project("app", "true\n", variables=[{**SECRET, "sensitive": sensitive}])))
    with pytest.raises(MissingValues, match="app asks for Word"):
        house.releases.create(Wanted("app", "1.0"))
    assert house.queries.deployments() == []


def test_a_retry_has_what_was_given_unless_it_is_given_anew(house: House) -> None:
    ready(house, WHO, WORD, script=f"{SAYS}exit 1\n")
    first = deploy(house, Who="ann", Word="bye")
    second = house.again.retry(first, PLAIN)
    house.deliver_all()
    assert said(house) == "ann bye"
    house.again.retry(second.id, Terms(values={"Word": "soon"}))
    house.deliver_all()
    assert said(house) == "ann soon"
    house.again.retry(second.id, Terms(values={"Word": ""}))
    house.deliver_all()
    assert said(house) == "ann hello"


# ---- refreshing ----


SCRIPTS = {"Who": 'echo "#{Who}" > said\n', BYPASS: "true\n"}


def changed(house: House, value: str, *, name: str = "Who") -> None:
    variables = [{"name": name, "value": value}]
    house.apply(catalog(project("app", SCRIPTS[name], variables=variables), lifecycles=MANUAL))


def test_a_release_keeps_its_variables_until_it_takes_those_of_today(house: House) -> None:
    changed(house, "then")
    house.releases.create(Wanted("app", "1.0"))
    changed(house, "now")
    deploy(house)
    assert said(house) == "then"
    assert house.releases.refresh("app", "1.0").changed
    assert not house.releases.refresh("app", "1.0").changed
    deploy(house)
    assert said(house) == "now"


def test_a_deployment_goes_on_with_the_variables_that_it_was_asked_for_with(house: House) -> None:
    changed(house, "then")
    house.releases.create(Wanted("app", "1.0"))
    house.deployments.deploy("app", "1.0", "QA")
    changed(house, "now")
    house.releases.refresh("app", "1.0")
    house.deliver_all()
    assert said(house) == "then"


def test_who_deploys_is_warned_of_a_bypass_that_is_not_that_of_today(house: House) -> None:
    changed(house, "True", name=BYPASS)
    house.releases.create(Wanted("app", "1.0"))
    assert house.releases.drift("app", "1.0") is None
    changed(house, "False", name=BYPASS)
    assert "release refresh-variables app 1.0" in (house.releases.drift("app", "1.0") or "")
    house.releases.refresh("app", "1.0")
    assert house.releases.drift("app", "1.0") is None
