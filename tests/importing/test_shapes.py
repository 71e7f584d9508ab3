"""The shapes in which people have their exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployengine.catalog import load
from deployengine.domain.errors import InvalidInput, RequestError
from deployengine.importing import import_octopus
from tests.importing.octopus import MIGRATOR, as_answers, as_folder, as_zip, shop


def test_one_export_makes_one_catalog_in_whatever_shape_it_comes(tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    answers.mkdir()
    shapes = [
        as_folder(shop(), tmp_path / "folder"),
        as_zip(shop(), tmp_path / "export.zip"),
        as_answers(shop(), answers),
    ]

    texts = {import_octopus(shape).text for shape in shapes}

    assert len(texts) == 1
    assert "name: Shop" in texts.pop()


def test_the_file_of_octo_export_makes_a_catalog_of_what_it_names(tmp_path: Path) -> None:
    by_id = {document["Id"]: document for document in shop()}
    file = tmp_path / "shop.json"
    environments = [
        {"Id": "Environments-1", "Name": "QA"},
        {"Id": "Environments-2", "Name": "Live"},
    ]
    variables = {
        **by_id["variableset-Projects-1"],
        "ScopeValues": {"Environments": environments, "Machines": []},
    }
    content = {
        "$Meta": {"ExportedAt": "2020-01-01", "ContainerType": "ProjectWithDependencies"},
        "Project": by_id["Projects-1"],
        "ProjectGroup": {"Id": "ProjectGroups-1", "Name": "All"},
        "VariableSet": variables,
        "DeploymentProcess": by_id["deploymentprocess-Projects-1"],
        "LibraryVariableSets": [{"Id": "LibraryVariableSets-1", "Name": "Shared"}],
        "Lifecycle": {"Id": "Lifecycles-1", "Name": "Auto"},
        "Channels": [],
    }
    file.write_text(json.dumps(content), encoding="utf-8")

    made = import_octopus(file)

    (tmp_path / "catalog.yaml").write_text(made.text, encoding="utf-8")
    catalog = load([tmp_path / "catalog.yaml"])
    assert [item.name for item in catalog.of("environment")] == ["QA", "Live"]
    (lifecycle,) = catalog.of("lifecycle")
    assert [phase["manual"] for phase in lifecycle.document["phases"]] == [["QA"], ["Live"]]
    told = [str(loss) for loss in made.losses]
    assert any("lifecycle Auto: only its name is in the export" in each for each in told)
    assert any("library variable set Shared: only its name" in each for each in told)


def test_the_large_export_can_be_applied_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(import_octopus(MIGRATOR).text, encoding="utf-8")

    catalog = load([file])

    assert [item.name for item in catalog.of("project")] == ["Shop"]


def test_documents_that_stand_in_two_files_and_agree_are_one(tmp_path: Path) -> None:
    folder = as_folder(shop(), tmp_path / "export")
    joined = {**next(d for d in shop() if d["Id"] == "Projects-1"), "LifecycleName": "Auto"}
    (folder / "again.json").write_text(json.dumps([joined]), encoding="utf-8")

    assert import_octopus(folder).counts["projects"] == 1


def test_documents_that_stand_in_two_files_and_differ_are_refused(tmp_path: Path) -> None:
    folder = as_folder(shop(), tmp_path / "export")
    other = {"Id": "Environments-1", "Name": "Test", "SortOrder": 0}
    (folder / "z.json").write_text(json.dumps(other), encoding="utf-8")

    with pytest.raises(InvalidInput) as refused:
        import_octopus(folder)

    assert str(refused.value) == (
        "z.json: Environments-1 differs from the one in Environments/QA.json; give one export only"
    )


def test_all_files_with_broken_json_are_told_with_their_lines(tmp_path: Path) -> None:
    folder = as_folder(shop(), tmp_path / "export")
    (folder / "one.json").write_text('{\n  "Id": "Environments-1",\n  "Name": }\n')
    (folder / "two.json").write_bytes(b'{"Id": "\xff"}')
    (folder / "three.json").write_text("[" * 100_000)

    with pytest.raises(InvalidInput) as refused:
        import_octopus(folder)

    assert sorted(str(refused.value).splitlines()) == [
        "one.json:3: broken JSON: Expecting value",
        "three.json:1: broken JSON: nested too deeply",
        "two.json:1: broken JSON: it is no text that can be read",
    ]


def test_everything_that_is_referred_to_and_missing_is_told_at_once(tmp_path: Path) -> None:
    documents = shop(
        lifecycle={"Phases": [{"Name": "QA", "AutomaticDeploymentTargets": ["Environments-9"]}]},
        project={
            "LifecycleId": "Lifecycles-9",
            "VariableSetId": "variableset-9",
            "DeploymentProcessId": "deploymentprocess-9",
            "IncludedLibraryVariableSetIds": ["LibraryVariableSets-9"],
        },
        machine={"EnvironmentIds": ["Environments-8"]},
    )

    with pytest.raises(InvalidInput) as refused:
        import_octopus(as_folder(documents, tmp_path))

    missing = [str(fault).rpartition(": ")[2] for fault in refused.value.faults]
    assert sorted(missing) == [
        "AutomaticDeploymentTargets refers to Environments-9, which is not in the export",
        "DeploymentProcessId refers to deploymentprocess-9, which is not in the export",
        "EnvironmentIds refers to Environments-8, which is not in the export",
        "IncludedLibraryVariableSetIds refers to LibraryVariableSets-9, which is not in the export",
        "LifecycleId refers to Lifecycles-9, which is not in the export",
        "VariableSetId refers to variableset-9, which is not in the export",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "holds no project of Octopus"),
        ('{"name": "web", "dependencies": {}}', "holds no project of Octopus"),
        ('[{"Id": "Projects-1", "Name": "Shop", "IsDisabled": false}]', "holds no environment"),
    ],
)
def test_a_folder_without_an_export_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "package.json").write_text(content)

    with pytest.raises(RequestError, match=said):
        import_octopus(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"qa": {"Name": {"en": "QA"}}}, "Name is not a text"),
        ({"qa": {"SortOrder": "first"}}, "SortOrder is not a whole number"),
        ({"machine": {"Roles": "web"}}, "Roles is not a list of texts"),
        ({"process": {"Steps": {"1": {}}}}, "Steps is not a list of objects"),
        ({"variables": {"Variables": [{"Name": "A", "Scope": "all"}]}}, "Scope is not an object"),
    ],
)
def test_a_document_of_another_make_is_told_with_its_file(
    tmp_path: Path, change: dict[str, dict[str, object]], said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        import_octopus(as_folder(shop(**change), tmp_path))

    (fault,) = refused.value.faults
    assert fault.message == said
    assert fault.file is not None
    assert fault.file.endswith(".json")
