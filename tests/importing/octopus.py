"""A small export of Octopus in each of the shapes that people have."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deployengine.importing import Imported

EXPORTS = Path(__file__).parent / "exports"

#: The large one, written after the shape of Octopus.Migrator, with everything in it.
MIGRATOR = EXPORTS / "migrator"

Document = dict[str, Any]


def shop(**changes: Mapping[str, Any]) -> list[Document]:
    """A project on its way through two environments; ``changes`` by what they change."""
    documents = {
        "qa": {"Id": "Environments-1", "Name": "QA", "SortOrder": 0},
        "production": {"Id": "Environments-2", "Name": "Production", "SortOrder": 1},
        "lifecycle": {
            "Id": "Lifecycles-1",
            "Name": "Auto",
            "Phases": [
                {"Name": "QA", "AutomaticDeploymentTargets": ["Environments-1"]},
                {"Name": "Live", "OptionalDeploymentTargets": ["Environments-2"]},
            ],
        },
        "project": {
            "Id": "Projects-1",
            "Name": "Shop",
            "LifecycleId": "Lifecycles-1",
            "VariableSetId": "variableset-Projects-1",
            "DeploymentProcessId": "deploymentprocess-Projects-1",
            "IncludedLibraryVariableSetIds": ["LibraryVariableSets-1"],
        },
        "variables": {
            "Id": "variableset-Projects-1",
            "OwnerId": "Projects-1",
            "Variables": [
                {
                    "Id": "v1",
                    "Name": "Port",
                    "Value": "80",
                    "Scope": {"Environment": ["Environments-2"]},
                }
            ],
        },
        "process": {
            "Id": "deploymentprocess-Projects-1",
            "OwnerId": "Projects-1",
            "Steps": [step("Install", action("Install", bash("echo #{Colour}")))],
        },
        "library": {
            "Id": "LibraryVariableSets-1",
            "Name": "Shared",
            "VariableSetId": "variableset-LibraryVariableSets-1",
            "ContentType": "Variables",
        },
        "library_variables": {
            "Id": "variableset-LibraryVariableSets-1",
            "OwnerId": "LibraryVariableSets-1",
            "Variables": [{"Id": "v2", "Name": "Colour", "Value": "blue"}],
        },
        "machine": {
            "Id": "Machines-1",
            "Name": "web-1",
            "EnvironmentIds": ["Environments-1", "Environments-2"],
            "Roles": ["web"],
            "Endpoint": {"CommunicationStyle": "Ssh", "Host": "web-1.example", "Port": 22},
        },
    }
    assert changes.keys() <= documents.keys() | {"more"}, "a change of something that is not there"
    more = changes.pop("more", {})
    made = [{**document, **changes.get(name, {})} for name, document in documents.items()]
    return [*made, *more.values()]


def step(name: str, *actions: Document, roles: str = "web", **more: Any) -> Document:
    """A step of a process; its id is its name with ``step-`` before."""
    properties = {"Octopus.Action.TargetRoles": roles} if roles else {}
    properties |= more.pop("Properties", {})
    return {
        "Id": f"step-{name}",
        "Name": name,
        "Properties": properties,
        "Condition": "Success",
        "StartTrigger": "StartAfterPrevious",
        "Actions": list(actions),
        **more,
    }


def action(
    name: str, properties: Mapping[str, Any], type_: str = "Octopus.Script", **more: Any
) -> Document:
    """An action of a step; its id is its name with ``action-`` before."""
    return {
        "Id": f"action-{name}",
        "Name": name,
        "ActionType": type_,
        "IsDisabled": False,
        "Properties": dict(properties),
        **more,
    }


def inline(body: str, syntax: str) -> dict[str, str]:
    """The settings of an inline script."""
    return {
        "Octopus.Action.Script.ScriptSource": "Inline",
        "Octopus.Action.Script.Syntax": syntax,
        "Octopus.Action.Script.ScriptBody": body,
    }


def bash(body: str) -> dict[str, str]:
    """The settings of an inline bash script."""
    return inline(body, "Bash")


def process(*steps: Document) -> dict[str, Any]:
    """The change of :func:`shop` that gives its project these steps."""
    return {"process": {"Steps": list(steps)}}


def variables(*items: Document) -> dict[str, Any]:
    """The change of :func:`shop` that gives its project these variables."""
    return {"variables": {"Variables": list(items)}}


def as_folder(documents: Sequence[Document], folder: Path) -> Path:
    """Like Octopus.Migrator: folders by kind, files by name."""
    for document in documents:
        kind = folder / document["Id"].partition("-")[0]
        kind.mkdir(parents=True, exist_ok=True)
        file = kind / f"{document.get('Name', document['Id'])}.json"
        file.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return folder


def as_zip(documents: Sequence[Document], file: Path) -> Path:
    """Like Export/Import Projects: a flat heap, with a manifest that lists it."""
    space = "-D4C63A85E7894C5D8C20D9297FEA1A43"
    listed = [
        {
            "Id": document["Id"],
            "Name": document.get("Name", ""),
            "DocumentType": "Any",
            "ExportType": "FullDocument",
            "DocumentSource": f"{document['Id']}.json",
        }
        for document in documents
    ]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps({"SchemaVersions": ["1"], "Entries": listed}))
        archive.writestr("version", "2.0.0")
        archive.writestr("checksum", "e01a")
        for document in documents:
            archive.writestr(f"{document['Id']}{space}.json", json.dumps(document))
    return file


def as_answers(documents: Sequence[Document], folder: Path) -> Path:
    """Like saved answers of the API: pages, bare lists and single documents, with links."""
    linked = [{**document, "Links": {"Self": f"/api/{document['Id']}"}} for document in documents]
    page = {"ItemType": "Any", "TotalResults": 3, "ItemsPerPage": 30, "Items": linked[:3]}
    for name, answer in {"a": page, "b": linked[3:-1], "c": linked[-1]}.items():
        (folder / f"{name}.json").write_text(json.dumps(answer), encoding="utf-8-sig")
    return folder


class Made:
    """What was made of an export, to be looked at part by part."""

    def __init__(self, imported: Imported) -> None:
        self.text = imported.text
        self.losses = imported.losses
        self.catalog: dict[str, Any] = yaml.safe_load(imported.text)

    @property
    def project(self) -> dict[str, Any]:
        """The only project."""
        (project,) = self.catalog["projects"]
        return dict(project)

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps of the project, without their scripts."""
        return [
            {key: value for key, value in step.items() if key != "script"}
            for step in self.project["process"]
        ]

    @property
    def variables(self) -> list[dict[str, Any]]:
        """The variables of the project."""
        return list(self.project["variables"])

    def script(self, name: str) -> str:
        """The script of a step, or of the child of one."""
        every = [
            each for step in self.project["process"] for each in (step, *step.get("steps", ()))
        ]
        return next(str(each["script"]) for each in every if each["name"] == name)

    def told(self, name: str) -> list[str]:
        """What was told of a thing."""
        return [f"{each.what}; {each.instead}" for each in self.losses if each.name.endswith(name)]
