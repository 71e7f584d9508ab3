"""The example catalogs and the editors' schema in ``config/``."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from deployengine.catalog import json_schema, load
from deployengine.domain.insertion import Plain, insert, insert_script, references
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.project import Project
from deployengine.domain.variables import (
    Context,
    Source,
    Variable,
    key,
    resolve_all,
    system_source,
    system_variables,
)
from tests.catalog.conftest import SMALL, Read, unsaid

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLES = [CONFIG / "scenario", CONFIG / "starter"]


def valid(document: object) -> bool:
    validator = jsonschema.Draft202012Validator(json_schema.json_schema())
    return bool(validator.is_valid(document))


def test_the_committed_schema_is_the_one_that_the_code_makes() -> None:
    assert (CONFIG / "catalog.schema.json").read_text(encoding="utf-8") == json_schema.text()


def test_the_schema_is_a_right_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema.json_schema())


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_is_valid_for_editors_and_loads_without_a_fault(folder: Path) -> None:
    for file in folder.glob("*.yaml"):
        assert valid(yaml.safe_load(file.read_text(encoding="utf-8")))
    assert load([folder]).of("project")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("roles: [web]", "rolls: [web]"),
        ("lifecycle: auto", "lifecycle: [auto]"),
        ("script: echo hello", "script: 5"),
        ("script: echo hello", "script: x\n        timeout: soon"),
        ("script: echo hello", "script: x\n        touches: [{mode: shared}]"),
        ("name: qa-1", "name: a/b"),
        ("environments: [QA]", "environments: []"),
    ],
)
def test_editors_see_what_is_wrong(old: str, new: str) -> None:
    assert valid(yaml.safe_load(SMALL))
    assert not valid(yaml.safe_load(SMALL.replace(old, new, 1)))


def test_every_key_that_needs_words_has_them() -> None:
    whole = json_schema.json_schema()
    assert all(part.get("description") for part in whole["$defs"].values() if "anyOf" not in part)


def test_the_starter_shows_every_key_that_there_is(read: Read, tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("localhost\n[production]\nweb-1\n[staging]\nweb-2\n")
    (tmp_path / "ssh_config").write_text("Host db-1 db-2\n  User deploy\n")
    text = (CONFIG / "starter" / "catalog.yaml").read_text(encoding="utf-8")
    above, marker, below = text.partition("#freezes:")
    assert marker
    whole = above + re.sub("(?m)^#", "", marker + below)
    whole = re.sub("(?m)^  #(?=- name: far|  )", "  ", whole)
    whole = re.sub("(?m)^      #(?=- name: (?:Bring|Await|Renew|Configure)|  )", "      ", whole)
    for other in ("responsible:", "identity:", "password:"):
        whole = whole.replace(f"# {other}", other)
    # A private key is given in one way.
    whole = whole.replace("      identity_file: ~/.ssh/deploy\n", "")
    secrets = ("DeployKey", "DeployKeyPassphrase", "DeployPassword", "FeedPassword")
    listed = "".join(f"      - {{name: {each}, value: x, sensitive: true}}\n" for each in secrets)
    whole = whole.replace(
        "  - name: Shared\n    variables:\n", f"  - name: Shared\n    variables:\n{listed}"
    )
    read(whole)
    # The steps of a group have what any script step has, and so have its hooks.
    as_any_script = ("GroupStep", "Before", "After")
    missing = {
        part: keys
        for part, keys in unsaid(yaml.safe_load(whole)).items()
        if part not in as_any_script
    }
    assert missing == {"Connection": {"identity_file"}}


def test_the_scenario_is_one_then_four_then_thirty_machines_and_two_hundred_projects() -> None:
    catalog = load([CONFIG / "scenario"])
    machines = [item.document for item in catalog.of("machine")]
    count = {e.name: sum(e.name in m["environments"] for m in machines)
             for e in catalog.of("environment")}  # fmt: skip
    assert count == {"QA": 1, "Staging": 4, "Production": 30}
    assert len(catalog.of("project")) == 200
    auto, manual = (Lifecycle.from_document(i.document) for i in catalog.of("lifecycle"))
    assert auto.automatic_at_start() == ("QA",)
    assert auto.automatic_after("QA", ()) == ("Staging",)
    assert auto.automatic_after("Staging", ("QA",)) == ("Production",)
    assert manual.automatic_at_start() == ()


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_text_of_an_example_finds_its_variables(folder: Path) -> None:
    catalog = load([folder])
    sets = {item.name: item.document for item in catalog.of("variable_set")}
    for document in (item.document for item in catalog.of("project")[:1]):
        project = Project.from_document(document)
        shared = [
            Source(n, tuple(map(Variable.from_document, sets[n]["variables"])))
            for n in project.include
        ]
        system = system_source(
            system_variables(project="p", release="1", machine="m", environment="QA")
        )
        sources = [Source("project", project.variables), *shared, system]
        for step in project.process:
            resolved = resolve_all(sources, Context(environment="QA", step=step.name))
            values = {key(n): Plain(r.name, str(r.value)) for n, r in resolved.items()}
            assert "#{" not in insert_script(step.script, values).text
            for text in (step.instructions, step.condition):
                assert "#{" not in insert(text, values).text
        assert references(project.process[0].script)


def test_the_scenarios_script_writes_one_line_as_it_begins_and_one_as_it_ends(
    tmp_path: Path,
) -> None:
    project = Project.from_document(load([CONFIG / "scenario"]).of("project")[0].document)
    names = ["Seconds", *references(project.process[0].script)]
    script = insert_script(project.process[0].script, {key(n): Plain(n, "0") for n in names}).text
    told = {"TICKET": "7", "PROJECT": "app-001", "RELEASE": "1.0", "ENVIRONMENT": "QA",
            "STEP": "Install", "ATTEMPT": "1"}  # fmt: skip
    environment = {"PATH": os.environ["PATH"]} | {f"DEPLOYENGINE_{k}": v for k, v in told.items()}
    subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "journal").read_text().splitlines() == [
        "begin 7 app-001 1.0 QA Install 1",
        "end 7 app-001 1.0 QA Install 1",
    ]
