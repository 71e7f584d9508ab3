"""Variables that texts refer to and that the catalog does not have: they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployengine.domain.bearers import Bearers
from deployengine.domain.insertion import needed, needed_in_script
from deployengine.domain.variable_names import key
from deployengine.importing.report import Entry, Items, Place, Report

_NOT_HERE = "it is referred to, and there is no such variable here"
_ASKED = (
    "it is asked for at each deployment, until its value is written here; "
    "if it is no variable, write ##{ where it stands"
)


def ask_for_unresolved(catalog: Entry, report: Report) -> None:
    """Adds a prompt for each variable that would be missed, to who misses it.

    Octopus leaves such a reference in the text, where it is not one of its own variables that there
    are only there. To run a script with either would be a guess.
    """
    sets = {entry["name"]: entry for entry in catalog["variable_sets"]}
    users: dict[str, list[Bearers]] = {name: [] for name in sets}
    for project in catalog["projects"]:
        included = [sets[name] for name in project["include"]]
        steps = list(_steps(project["process"]))
        bearers = Bearers(
            [variable["name"] for each in (project, *included) for variable in each["variables"]],
            [step["name"] for step in steps],
        )
        for name in project["include"]:
            users[name].append(bearers)
        names = {**_of_steps([*project["process"], *steps]), **_of_values(project)}
        _ask(project, f"project {project['name']}", names, [bearers], report)
    for name, entry in sets.items():
        _ask(entry, f"variable set {name}", _of_values(entry), users[name], report)


def _ask(
    entry: Entry, called: str, names: Mapping[str, int], among: list[Bearers], report: Report
) -> None:
    variables: Items = entry["variables"]
    asked_for: set[str] = set()
    for name in names:
        missed = among and all(bearers.lacking(name) for bearers in among)
        if missed and key(name) not in asked_for:
            asked_for.add(key(name))
            asked = Entry(name=name.strip(), prompt={"label": name.strip(), "required": True})
            report.tell(Place("", f"{called}, variable {name}"), _NOT_HERE, _ASKED, asked)
            variables.append(asked)


def _steps(process: Items) -> Iterator[Entry]:
    """Those that do something: the steps in a group, not the group."""
    for step in process:
        yield from step.get("steps", [step])


def _of_steps(steps: list[Entry]) -> dict[str, int]:
    names: dict[str, int] = {}
    for step in steps:
        names |= needed_in_script(step.get("script", ""))
        names |= needed(step.get("condition", ""))
    return names


def _of_values(entry: Entry) -> dict[str, int]:
    names: dict[str, int] = {}
    for variable in entry["variables"]:
        names |= needed(variable.get("value", ""))
    return names
