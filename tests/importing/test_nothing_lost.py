"""Whatever stands in an export is in the catalog, or told; and no secret is in either."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployengine.domain.errors import RequestError
from deployengine.importing import import_octopus
from deployengine.importing.conversion import convert
from deployengine.importing.documents import documents
from deployengine.importing.export import Export
from deployengine.importing.report import Entry, Items
from deployengine.importing.source import SourceFile, files
from tests.importing.octopus import MIGRATOR, as_folder, shop, variables

#: What docs/import.md says is passed over in silence, by the names of the keys.
SILENT = {
    *("Id", "SpaceId", "Slug", "Links", "Version", "DataVersion", "IsEditable", "OwnerId"),
    *("MachinePolicyId", "DotNetCorePlatform", "TentacleRetentionPolicy", "ShouldKeepForever"),
    *("ProcessOwner", "SortOrder", "Octopus.Action.RunOnServer"),
}

#: Only how many of them there are is told; and what a script module holds, is told with it.
COUNTED = ("Releases/", "DeploymentProcesses/Shop-s", "VariableSets/Helpers")

NOTHING = "there is nothing here for "

Path_ = tuple[str | int, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The places of everything that says something."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    elif value not in (None, "", False, 0) and "==|" not in str(value):  # nothing, or encrypted
        yield path


def variations(value: Any, path: Path_) -> Iterator[Any]:
    """The same with another value at the path, and without what is there."""
    for removes in (False, True):
        made = copy.deepcopy(value)
        place = made
        for key in path[:-1]:
            place = place[key]
        before = place[path[-1]]
        if removes:
            del place[path[-1]]
        elif isinstance(before, bool):
            place[path[-1]] = not before
        else:
            place[path[-1]] = before + 1 if isinstance(before, int) else f"{before}Q"
        yield made


def whole(value: Any, path: Path_) -> Iterator[str]:
    """The names of the things that the path leads into."""
    for key in path:
        if isinstance(value, dict) and "Name" in value:
            yield value["Name"]
        value = value[key]


def written(node: Any) -> Any:
    """A part of a catalog with its notes."""
    if isinstance(node, Entry):
        return [node.notes, {key: written(value) for key, value in node.items()}]
    if isinstance(node, Items):
        return [node.notes, [written(each) for each in node]]
    return node


def outcome(found: list[SourceFile]) -> str:
    """All that is made of an export, as one text; a refusal is one, too."""
    try:
        made = convert(Export(documents(found)), found)
    except RequestError as error:
        return str(error)
    losses = sorted(str(loss) for loss in made.report.losses)
    return json.dumps([written(made.catalog), losses])


@pytest.mark.parametrize("file", [each.name for each in files(MIGRATOR) if ".json" in each.name])
def test_no_word_of_an_export_can_change_or_go_unseen(file: str) -> None:
    every = files(MIGRATOR)
    data = json.loads(next(each.content for each in every if each.name == file))
    losses = import_octopus(MIGRATOR).losses
    told_whole = {
        loss.name.rpartition(", ")[2].partition(" ")[2]
        for loss in losses
        if loss.instead in ("left out", "a step that fails stands in its place")
        and not loss.what.removesuffix(" it").startswith(NOTHING)
    }
    told_keys = {
        key.rpartition(" ")[2].partition(".")[0]
        for loss in losses
        if loss.what.startswith(NOTHING)
        for key in loss.what.split(", ")
    }
    rest = [each for each in every if each.name != file]
    before = outcome(every)
    unseen = []
    for path in leaves(data if not file.startswith(COUNTED) else {}):
        if (SILENT | told_keys) & set(path) or told_whole & set(whole(data, path)):
            continue
        outcomes = {
            outcome([*rest, SourceFile(file, json.dumps(made).encode())])
            for made in variations(data, path)
        }
        if outcomes == {before}:
            unseen.append(path)

    assert unseen == []


@pytest.mark.parametrize("file", [each.name for each in files(MIGRATOR) if ".json" in each.name])
def test_every_document_is_in_the_catalog_or_told(file: str) -> None:
    every = files(MIGRATOR)

    assert outcome([each for each in every if each.name != file]) != outcome(every)


SECRETS = {
    "empty": {"Value": None},
    "encrypted": {"Value": "c2VjcmV0LWNhbmFyeQ==|aXYtY2FuYXJ5"},
    "in clear, by an oversight": {"Value": "canary-in-clear"},
    "as an object": {"Value": {"SensitiveValue": "canary-object"}},
}


@pytest.mark.parametrize("shape", SECRETS)
@pytest.mark.parametrize("mark", [{"Type": "Sensitive"}, {"IsSensitive": True}])
def test_a_sensitive_value_is_asked_for_and_stands_nowhere(
    tmp_path: Path, shape: str, mark: dict[str, Any]
) -> None:
    secret = {"Id": "s", "Name": "Password", "Description": "of the mail server"}
    folder = as_folder(shop(**variables({**secret, **mark, **SECRETS[shape]})), tmp_path / "export")

    made = import_octopus(folder)

    assert "- name: Password\n        sensitive: true\n        prompt: {" in made.text
    told = made.text + "".join(map(str, made.losses)) + repr(made)
    assert "canary" not in told
    assert "c2VjcmV0LWNhbmFyeQ" not in told
    assert any("its value is sensitive" in loss.what for loss in made.losses)


def test_a_sensitive_setting_of_a_step_stands_nowhere(tmp_path: Path) -> None:
    from tests.importing.octopus import action, bash, process, step

    settings = {
        **bash("echo hi"),
        "Octopus.Action.Secret": {"SensitiveValue": "canary-1"},
        "Octopus.Action.Other": {"HasValue": True, "NewValue": "canary-2", "Hint": None},
    }
    folder = as_folder(shop(**process(step("A", action("A", settings)))), tmp_path / "export")

    made = import_octopus(folder)

    told = made.text + "".join(map(str, made.losses))
    assert "canary" not in told
    assert "Octopus.Action.Secret" in told
    assert "Octopus.Action.Other" in told
