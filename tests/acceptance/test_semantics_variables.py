"""Variables: what each sentence of their meaning says, to commands and to scripts on workers."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from tests.acceptance.catalogs import catalog, machine, project, step
from tests.acceptance.conftest import Say
from tests.support.engine import Answer, LiveEngine

SECRET = "wholly-5ecret\nsecond-line-of-it"
TOKEN = {"name": "Token", "value": SECRET, "sensitive": True}

#: A scope of each kind that matches in the place below, the most specific one first.
HERE = {
    "steps": ["Install"],
    "machines": ["qa-1"],
    "roles": ["web"],
    "environments": ["QA"],
    "channels": ["hot"],
    "phases": ["First"],
}
PLACE = ["--environment", "QA", "--machine", "qa-1", "--step", "Install", "--channel", "hot"]


def value(text: str, **scope: list[str]) -> dict[str, Any]:
    """A value of the variable ``Here``."""
    return {"name": "Here", "value": text, **({"scope": scope} if scope else {})}


def catalog_of(
    own: list[dict[str, Any]], *sets: list[dict[str, Any]], script: str = "true\n"
) -> dict[str, Any]:
    """A project ``app`` with these variables, which includes the sets S0, S1, … in this order."""
    names = [f"S{number}" for number in range(len(sets))]
    return catalog(
        project(
            "app",
            lifecycle="way",
            channels=[{"name": "hot", "lifecycle": "way"}],
            variables=own,
            include=names,
            process=[step(script)],
        ),
        environments=["QA", "Production"],
        machines=[machine("qa-1", "QA", roles=["web", "db"]), machine("prod-1", "Production")],
        lifecycles=[
            {
                "name": "way",
                "phases": [
                    {"name": "First", "manual": ["QA"]},
                    {"name": "Last", "manual": ["Production"]},
                ],
            }
        ],
        variable_sets=[
            {"name": name, "variables": variables}
            for name, variables in zip(names, sets, strict=True)
        ],
    )


def resolved(say: Say, name: str = "Here") -> dict[str, Any]:
    """The variable as the command tells it in the place."""
    told = say("variable", "resolve", "app", "--name", name, *PLACE, "--json")
    (found,) = told.document
    assert isinstance(found, dict)
    return found


def script_says(running: LiveEngine, say: Say, version: str) -> Answer:
    """The output of the script, once it has run in QA for a release in the channel ``hot``."""
    assert say("release", "create", "app", version, "--channel", "hot").code == 0
    assert say("release", "deploy", "app", version, "QA", "--wait").code == 0
    (deployment,) = running.services.queries.release("app", version).deployments
    return say("deployment", "log", f"dep-{deployment.id}")


# ---- which value wins ----


def test_value_chosen_by_specificity_step_machine_role_environment_channel_process_phase_unscoped(
    running: LiveEngine, say: Say
) -> None:
    values = [value(kind, **{kind: names}) for kind, names in HERE.items()] + [value("unscoped")]
    for place, wins in enumerate([*HERE, "unscoped"]):
        running.apply(catalog_of(values[place:][::-1]))
        assert resolved(say)["value"] == wins


def test_several_kinds_of_scope_on_one_value_add_up_environment_and_role_beats_role_alone(
    running: LiveEngine, say: Say
) -> None:
    both = value("both", environments=["QA"], roles=["web"])
    running.apply(catalog_of([value("role", roles=["web"]), both]))
    assert resolved(say)["value"] == "both"


def test_same_kind_scopes_are_alternatives_different_kinds_must_all_match(
    running: LiveEngine, say: Say
) -> None:
    one_of = value("one of", environments=["Production", "QA"])
    not_all = value("not all", environments=["Production"], roles=["web"], machines=["qa-1"])
    running.apply(catalog_of([one_of, not_all, value("else")]))
    assert resolved(say)["value"] == "one of"


def test_a_tie_project_value_before_library_set_value_then_the_set_included_first(
    running: LiveEngine, say: Say
) -> None:
    sets = [[value("first set", roles=["web"])], [value("second set", roles=["web"])]]
    running.apply(catalog_of([value("project", roles=["web"])], *sets))
    assert resolved(say)["value"] == "project"
    running.apply(catalog_of([], *sets))
    assert resolved(say)["value"] == "first set"


def test_a_tie_that_is_still_left_is_an_error_naming_both_values(
    running: LiveEngine, say: Say
) -> None:
    running.apply(catalog_of([value("one", roles=["web"]), value("two", roles=["db"])]))
    told = say("variable", "resolve", "app", *PLACE)
    assert (told.code, told.out) == (2, "")
    assert "Here" in told.err
    assert "role web" in told.err
    assert "role db" in told.err


# ---- names and references ----


def test_names_are_case_insensitive_and_trimmed(running: LiveEngine, say: Say) -> None:
    own = [{"name": "  gREETing ", "value": "hello"}]
    script = 'echo "#{ Greeting } $(get_variable GREETING)"\n'
    running.apply(catalog_of(own, script=script))
    assert resolved(say, "greeting")["value"] == "hello"
    assert "hello hello" in script_says(running, say, "1.0").out


def test_values_may_refer_to_others_a_cycle_is_an_error_that_names_the_cycle(
    running: LiveEngine, say: Say
) -> None:
    own = [
        {"name": "Url", "value": "http://#{Host}"},
        {"name": "Host", "value": "#{Octopus.Machine.Name}"},
    ]
    running.apply(catalog_of(own, script='echo "#{Url}"\n'))
    assert "http://qa-1" in script_says(running, say, "2.0").out
    circle = [{"name": a, "value": f"#{{{b}}}"} for a, b in ("AB", "BC", "CA")]
    path = running.write("circle.yaml", json.dumps(catalog_of(circle)))
    refused = say("apply", str(path))
    assert refused.code == 2
    assert "A → B → C → A" in refused.err


# ---- sensitive values ----


def test_sensitive_values_are_encrypted_at_rest_never_printed_and_masked_in_every_log(
    running: LiveEngine, say: Say
) -> None:
    script = """
    echo "it is" #{Token} "indeed"
    get_variable Token
    set_output Said "$(get_variable Token)"
    """
    running.apply(catalog_of([TOKEN], script=script))
    said = script_says(running, say, "3.0").out
    assert "it is ********" in said
    for told in (said, say("variable", "resolve", "app", *PLACE).out):
        assert not any(part in told for part in SECRET.split("\n"))
    assert "********" in told
    assert_nowhere_in_clear(running)


def assert_nowhere_in_clear(engine: LiveEngine) -> None:
    """No line of the secret is in a file of the home, in the database or in Redis."""
    parts = [part.encode() for part in SECRET.split("\n")]
    found = [
        str(path)
        for path in engine.home.rglob("*")
        if path.is_file()
        for part in parts
        if part in path.read_bytes()
    ]
    assert found == []
    with sqlite3.connect(engine.settings.database_path) as database:
        dump = "\n".join(database.iterdump()).encode()
    redis = engine.services.redis
    stored = b"".join(redis.dump(key) or b"" for key in redis.scan_iter())  # texts stay readable
    assert not any(part in dump + stored for part in parts)


def test_variable_resolve_shows_for_each_variable_the_value_that_wins_and_why(
    running: LiveEngine, say: Say
) -> None:
    sets = [[value("set", environments=["QA"]), {"name": "There", "value": "x"}]]
    running.apply(catalog_of([value("role", roles=["web"])], *sets))
    told = say("variable", "resolve", "app", *PLACE, "--json").document
    found = {each["name"]: each for each in told}
    assert {"Here", "There", "Octopus.Machine.Name"} <= set(found)
    here = found["Here"]
    assert (here["value"], here["source"], here["scope"]) == (
        "role",
        "project app",
        {"roles": ["web"]},
    )
    assert "role web" in here["why"]
