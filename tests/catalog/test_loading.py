"""Files, folders and what a catalog becomes: documents that the domain reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployengine.catalog import load
from deployengine.domain.admission import Mode
from deployengine.domain.environment import Machine
from deployengine.domain.errors import InvalidInput
from deployengine.domain.lifecycle import Lifecycle, Phase
from deployengine.domain.project import Project, Touch
from deployengine.domain.variables import Scope
from tests.catalog.conftest import SMALL, Read, small


def test_items_come_by_kind_in_the_order_of_the_file_with_ranges_written_out(read: Read) -> None:
    catalog = read(SMALL)
    assert [(i.kind, i.name, i.position) for i in catalog.items] == [
        ("environment", "QA", 0),
        ("environment", "Production", 1),
        ("machine", "qa-1", 0),
        ("machine", "prod-01", 1),
        ("machine", "prod-02", 2),
        ("machine", "prod-03", 3),
        ("lifecycle", "auto", 0),
        ("variable_set", "Shared", 0),
        ("project", "app-1", 0),
        ("project", "app-2", 1),
    ]


def test_a_machine_is_in_its_own_folder_unless_the_file_says_otherwise(read: Read) -> None:
    catalog = read(
        small(
            "    roles: [web, db]",
            "    roles: [db]\n    connection: {workdir: '/srv/#{ Machine }'}",
        )
    )
    machines = [Machine.from_document(item.document) for item in catalog.of("machine")]
    assert [m.connection for m in machines[:2]] == [
        {"kind": "local", "workdir": "machines/qa-1"},
        {"kind": "local", "workdir": "/srv/prod-01"},
    ]
    assert [Machine.from_document(m.to_document()) for m in machines] == machines


def test_a_lifecycle_is_what_the_domain_makes_of_its_document(read: Read) -> None:
    (item,) = read(SMALL).of("lifecycle")
    lifecycle = Lifecycle.from_document(item.document)
    assert lifecycle.phases == (Phase("Test", ("QA",)), Phase("Live", ("Production",)))
    assert Lifecycle.from_document(lifecycle.to_document()) == lifecycle


def test_a_project_is_what_the_domain_makes_of_its_document(read: Read) -> None:
    text = small(
        "    variables: []\n    process",
        "    variables:\n"
        "      - {name: ' Port ', value: 8080, scope: {machines: ['prod-[01:02]'], roles: [web]}}\n"
        "    process",
        "        script: echo hello\n",
        "        script: echo hello\n"
        "        touches: [iis, {resource: 'db:x', mode: shared, everywhere: yes}]\n"
        "        timeout: 1h30m\n        retries: 2\n        idempotent: true\n",
    )
    project = Project.from_document(read(text).of("project")[1].document)
    assert (project.name, project.lifecycle, project.channels) == (
        "app-2",
        "auto",
        {"hotfix": "auto"},
    )
    (variable,) = project.variables
    assert (variable.name, variable.value) == ("Port", "8080")
    assert variable.scope == Scope(machines=("prod-01", "prod-02"), roles=("web",))
    (step,) = project.process
    assert step.touches == (Touch("iis"), Touch("db:x", Mode.SHARED, everywhere=True))
    assert (step.timeout_seconds, step.retries, step.idempotent) == (5400, 2, True)


def test_a_folder_is_read_by_name_as_one_catalog(tmp_path: Path) -> None:
    machines, projects = SMALL.index("machines:"), SMALL.index("projects:")
    (tmp_path / "20.yml").write_text(SMALL[:machines])
    (tmp_path / "10.yaml").write_text(SMALL[projects:] + "---\nenvironments: [Early]\n")
    (tmp_path / "30.yaml").write_text(SMALL[machines:projects])
    (tmp_path / ".hidden.yaml").write_text("{")
    (tmp_path / "notes.txt").write_text("{")
    catalog = load([tmp_path, tmp_path / "10.yaml"])
    assert [i.name for i in catalog.of("environment")] == ["Early", "QA", "Production"]
    assert len(catalog.of("project")) == 2


def test_faults_of_several_files_are_told_together_each_with_its_file(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("environments: [Live]\n")
    second.write_text("environments: [live]\nmachines:\n  - {name: m, environments: [Life]}\n")
    with pytest.raises(InvalidInput) as caught:
        load([first, second])
    assert [str(f) for f in caught.value.faults] == [
        f"{second}:1: environments[0]: environment 'live' stands already in {first}:1",
        f"{second}:3: machines[0].environments[0]: there is no environment 'Life'; "
        "did you mean 'live'?",
    ]
    assert caught.value.exit_code == 2


def test_what_an_unread_file_may_declare_is_not_taken_for_missing(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("machines:\n  - {name: m, environments: [QA], rols: [web]}\n")
    with pytest.raises(InvalidInput) as caught:
        load([file, tmp_path / "none.yaml"])
    assert [(f.file, f.message) for f in caught.value.faults] == [
        (str(file), "unknown key 'rols'; did you mean 'roles'?"),
        (str(tmp_path / "none.yaml"), "there is no such file"),
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "projects:\n", "---\n---\n", "{}"])
def test_an_empty_catalog_is_refused_since_it_would_remove_everything(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InvalidInput, match="the catalog is empty"):
        load([tmp_path])


@pytest.mark.parametrize("text", ["- a\n", "hello\n", "projects: app\n", "projects: [1]\n"])
def test_a_file_of_another_shape_is_a_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=r"mapping|list"):
        load([tmp_path])


def test_a_folder_without_catalog_files_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the folder has no \*\.yaml"):
        load([tmp_path])


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    with pytest.raises(InvalidInput, match="can't be read"):
        load([tmp_path / "loop.yaml"])
