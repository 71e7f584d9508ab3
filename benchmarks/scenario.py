"""What is deployed: 1 QA, 4 Staging and 30 Production machines, and one project per release."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

STAGES: Mapping[str, tuple[str, ...]] = {
    "QA": ("qa-1",),
    "Staging": tuple(f"stg-{n}" for n in range(1, 5)),
    "Production": tuple(f"prod-{n:02}" for n in range(1, 31)),
}
MACHINES = tuple(machine for machines in STAGES.values() for machine in machines)

#: What the script of every step is. Only WORK differs: a sleep, or waiting until a gate opens.
#: A stamp is written twice with a look in between: where the file system's times are multigrain
#: (Linux 6.13 and later) the look makes the second time a fine one; elsewhere it is the kernel's
#: tick. Neither a fork nor a program beside the shell is needed for it.
SCRIPT = """\
stamp() {
  : > "stamps/$DEPLOYENGINE_TICKET.$1"
  [ -s "stamps/$DEPLOYENGINE_TICKET.$1" ]
  echo > "stamps/$DEPLOYENGINE_TICKET.$1"
}
note() {
  echo "$1 $DEPLOYENGINE_TICKET $DEPLOYENGINE_PROJECT $DEPLOYENGINE_RELEASE \
$DEPLOYENGINE_ENVIRONMENT $DEPLOYENGINE_STEP $DEPLOYENGINE_ATTEMPT" >> journal
}
stamp begin
note begin
echo "installing #{Octopus.Project.Name} #{Octopus.Release.Number} on #{Octopus.Machine.Name}"
WORK
echo "installed"
note end
stamp end
"""
#: The lengths lie on the machines, so that the engine carries the same script to all of them.
SLEEP = 'read -r seconds < "lengths/$DEPLOYENGINE_PROJECT"\nsleep "$seconds"'
GATE = "gate"
WAIT_AT_GATE = f"read -r _ < {GATE}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Projects, those of them whose runs share machines, and each script's nominal seconds."""

    projects: tuple[str, ...]
    sharing: frozenset[str]
    seconds: Mapping[tuple[str, str], float]

    @classmethod
    def drawn(
        cls, releases: int, shortest: float, longest: float, bypass_share: float, seed: int
    ) -> Scenario:
        """Lengths drawn evenly between two, in whole milliseconds; the same seed, the same ones.

        Those who share are spread evenly over the projects.
        """
        dice = random.Random(seed)
        projects = tuple(f"app-{n:03}" for n in range(1, releases + 1))
        seconds = {
            (project, machine): round(dice.uniform(shortest, longest), 3)
            for project in projects
            for machine in MACHINES
        }
        sharing = frozenset(
            project
            for n, project in enumerate(projects)
            if int((n + 1) * bypass_share) > int(n * bypass_share)
        )
        return cls(projects, sharing, seconds)

    def catalog(self) -> str:
        """The catalog in YAML."""
        return catalog(STAGES, self.projects, self.sharing, SCRIPT.replace("WORK", SLEEP))

    def furnish(self, home: Path) -> None:
        """Makes the machines' folders, with the lengths of the scripts in them."""
        for machine in MACHINES:
            folder = furnished(home, machine)
            (folder / "lengths").mkdir()
            for project in self.projects:
                length = f"{self.seconds[project, machine]:g}\n"
                (folder / "lengths" / project).write_text(length)


def furnished(home: Path, machine: str) -> Path:
    """A machine's folder, with room for stamps."""
    folder = home / "machines" / machine
    (folder / "stamps").mkdir(parents=True)
    return folder


def catalog(
    stages: Mapping[str, Sequence[str]],
    projects: Sequence[str],
    sharing: frozenset[str],
    script: str,
) -> str:
    """A catalog in YAML: an automatic lifecycle through the stages, one step per project."""
    document = {
        "environments": list(stages),
        "machines": [
            {"name": machine, "environments": [stage], "roles": ["web"]}
            for stage, machines in stages.items()
            for machine in machines
        ],
        "lifecycles": [{"name": "auto", "phases": [{"name": s, "automatic": [s]} for s in stages]}],
        "projects": [_project(name, name in sharing, script) for name in projects],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _project(name: str, shares: bool, script: str) -> dict[str, Any]:
    bypass = {"name": "OctopusBypassDeploymentMutex", "value": str(shares)}
    return {
        "name": name,
        "lifecycle": "auto",
        "variables": [bypass],
        "process": [{"name": "Install", "roles": ["web"], "script": script}],
    }
