"""The recipe of ``docker-compose`` steps; ``compose.sh`` says which commands do it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from shlex import quote

from deployengine.domain import tool_words as words
from deployengine.domain.filling import BadValue, Filling
from deployengine.domain.tools import ComposeProject
from deployengine.recipes.shell import arguments, assign, export, hundredths

PROGRAM = "compose.sh"


def lines(step: ComposeProject, fill: Filling) -> Iterator[str]:
    """Which services are to be up, and in which environment their files are read."""
    files = fill.words("files", step.files, words.path)
    if not files:
        raise BadValue("files", "comes to nothing")
    project = fill.word("project", step.project).strip()
    if project and (why := words.project(project)):
        raise BadValue("project", why)
    options = [f"--file={each}" for each in files]
    options += [f"--env-file={each}" for each in fill.words("env_file", step.env_file, words.path)]
    options += [f"--project-name={project}"] if project else []
    yield f'de_compose() {{ de_docker_compose {" ".join(map(quote, options))} "$@"; }}'
    for name, said in step.environment.items():
        yield export(name, fill.text(f"environment {name}", said))
    within = fill.seconds("healthy_within", step.healthy_within)
    yield assign("within", hundredths(within))
    yield assign("whole", math.ceil(within))
    yield assign("pull", fill.flag("pull", step.pull))
    yield assign("build", fill.flag("build", step.build))
    yield assign("orphans", fill.flag("remove_orphans", step.remove_orphans))
    yield arguments(fill.words("services", step.services, words.service))
