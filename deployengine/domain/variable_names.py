"""Names of variables: what identifies one, and which of them only the engine sets."""

from __future__ import annotations

from collections.abc import Sequence


def key(name: str) -> str:
    """What identifies a variable: its name without surrounding space, in any case."""
    return name.strip().casefold()


#: The folder of the version that a step brings into use; the machine alone knows it.
INSTALLED = "Octopus.Action.Package.InstallationDirectoryPath"

_SYSTEM = {
    "project": ("Octopus.Project.Name",),
    "release": ("Octopus.Release.Number",),
    "channel": ("Octopus.Release.Channel.Name",),
    "environment": ("Octopus.Environment.Name",),
    "machine": ("Octopus.Machine.Name",),
    "roles": ("Octopus.Machine.Roles",),
    "step": ("Octopus.Step.Name", "Octopus.Action.Name"),
    "deployment": ("Octopus.Deployment.Id",),
    "package": ("Octopus.Action.Package.PackageId",),
    "package_version": ("Octopus.Action.Package.PackageVersion",),
    "feed": ("Octopus.Action.Package.FeedId",),
    "into": ("Octopus.Action.Package.CustomInstallationDirectory",),
    "folder": (INSTALLED,),
}

#: The variables that the engine sets and nobody else may.
SYSTEM_NAMES = tuple(name for names in _SYSTEM.values() for name in names)

#: Says how the deployment failed, once it did; for run conditions.
ERROR = "Octopus.Deployment.Error"

_SYSTEM_KEYS = frozenset(map(key, SYSTEM_NAMES))


def is_system(name: str) -> bool:
    """Whether the engine sets this variable, so that a catalog's value for it has no effect."""
    return key(name) in _SYSTEM_KEYS


def system_variables(
    *,
    project: str | None = None,
    release: str | None = None,
    environment: str | None = None,
    machine: str | None = None,
    roles: Sequence[str] | None = None,
    step: str | None = None,
    deployment: str | None = None,
    channel: str | None = None,
    package: str | None = None,
    package_version: str | None = None,
    feed: str | None = None,
    into: str | None = None,
) -> dict[str, str]:
    """The system variables by name; what is not known (``None``) is left out.

    ``deployment`` is its id; roles are joined by commas, as Octopus does. The last four are those
    of a package step; ``into`` is the folder that its versions lie in.
    """
    known = {
        "project": project,
        "release": release,
        "environment": environment,
        "machine": machine,
        "roles": None if roles is None else ",".join(roles),
        "step": step,
        "deployment": deployment,
        "channel": channel,
        "package": package,
        "package_version": package_version,
        "feed": feed,
        "into": into,
    }
    return {
        name: value for kind, value in known.items() if value is not None for name in _SYSTEM[kind]
    }
