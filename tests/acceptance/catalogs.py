"""Catalogs for acceptance tests: the smallest that says what a test is about."""

from __future__ import annotations

from typing import Any

BYPASS = "OctopusBypassDeploymentMutex"

_LINE = (
    '"$DEPLOYENGINE_PROJECT $DEPLOYENGINE_RELEASE $DEPLOYENGINE_STEP '
    '$DEPLOYENGINE_ATTEMPT $DEPLOYENGINE_TICKET"'
)

#: Lines of scripts that keep the machine's journal, in the machine's own folder.
BEGIN = f"echo begin {_LINE} >> journal\n"
END = f"echo end {_LINE} >> journal\n"

#: A script that ends at once.
SHORT = BEGIN + END

#: A script that waits at the gate that is named after its project.
HELD = f'{BEGIN}read -r _ < "$SCRATCH/$DEPLOYENGINE_PROJECT"\n{END}'


def held_at(gate: str) -> str:
    """A script that waits at the gate of this name."""
    return f'{BEGIN}read -r _ < "$SCRATCH/{gate}"\n{END}'


def step(script: str = SHORT, name: str = "Install", **more: Any) -> dict[str, Any]:
    """A step on every machine."""
    return {"name": name, "kind": "script", "script": script, **more}


def project(name: str, script: str = SHORT, **more: Any) -> dict[str, Any]:
    """A project with one step, or with the process it is given."""
    return {"name": name, "lifecycle": "auto", "process": [step(script)], **more}


def bypassing(value: str, **scope: list[str]) -> dict[str, Any]:
    """The variable that lifts the exclusive lock."""
    return {"name": BYPASS, "value": value, **({"scope": scope} if scope else {})}


def machine(name: str, environment: str, **more: Any) -> dict[str, Any]:
    """A folder of this host."""
    return {"name": name, "environments": [environment], "roles": ["web"], **more}


def catalog(*projects: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """One machine qa-1 in QA and an automatic lifecycle, unless ``parts`` say otherwise."""
    return {
        "environments": ["QA"],
        "machines": [machine("qa-1", "QA")],
        "lifecycles": [{"name": "auto", "phases": [{"name": "QA", "automatic": ["QA"]}]}],
        **parts,
        "projects": list(projects),
    }


def three_stages(*projects: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """The scenario in small: 1 QA, 2 Staging and 4 Production machines, all automatic."""
    stages = ("QA", "Staging", "Production")
    return catalog(
        *projects,
        environments=list(stages),
        machines=[
            machine("qa-1", "QA"),
            machine("stg-[1:2]", "Staging"),
            machine("prod-[1:4]", "Production"),
        ],
        lifecycles=[
            {"name": "auto", "phases": [{"name": s, "automatic": [s]} for s in stages]},
        ],
        **parts,
    )
