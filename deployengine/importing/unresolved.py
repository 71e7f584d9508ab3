"""Variables that texts refer to and that the catalog does not have: they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
    """Adds a prompt to each project for the variables that its steps come to and that it misses.

    Octopus leaves such a reference in the text, where it is not one of its own variables that there
    are only there. To run a script with either would be a guess. What no step comes to is left.
    """
    sets = {entry["name"]: entry for entry in catalog["variable_sets"]}
    for project in catalog["projects"]:
        sources = (project, *(sets[name] for name in project["include"]))
        variables = [variable for each in sources for variable in each["variables"]]
        steps = list(_steps(project["process"]))
        bearers = Bearers(
            [variable["name"] for variable in variables], [step["name"] for step in steps]
        )
        asked_for: set[str] = set()
        for name in _come_to(_of_steps([*project["process"], *steps]), variables):
            if bearers.lacking(name) and key(name) not in asked_for and name.isprintable():
                asked_for.add(key(name))
                asked = Entry(name=name.strip(), prompt={"label": name.strip(), "required": True})
                place = Place("", f"project {project['name']}, variable {name}")
                report.tell(place, _NOT_HERE, _ASKED, asked)
                project["variables"].append(asked)


def _come_to(names: Iterable[str], variables: Sequence[Entry]) -> list[str]:
    """These names, and those that their values refer to, and so on."""
    found = dict.fromkeys(names)
    open_names = list(found)
    while open_names:
        wanted = key(open_names.pop(0))
        for variable in variables:
            if key(variable["name"]) == wanted:
                new = [name for name in needed(variable.get("value", "")) if name not in found]
                found |= dict.fromkeys(new)
                open_names += new
    return list(found)


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
