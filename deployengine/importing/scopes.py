"""Where the value of a variable applies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deployengine.importing.documents import Kind
from deployengine.importing.export import Export
from deployengine.importing.names import Names
from deployengine.importing.record import Record
from deployengine.importing.report import Uncarried
from deployengine.importing.roles import Roles

#: What a tool adds to scopes beside the ids that Octopus has there.
_JOINED = ("breadth",)


@dataclass(frozen=True)
class Scopes:
    """Reads scopes: names in the place of ids.

    ``channels`` names those of the project, ``steps`` says which steps an id of a step or action
    means, and ``owner`` is the id of the project; a library set has none of the three.
    """

    export: Export
    environments: Names
    machines: Names
    roles: Roles
    channels: Names
    steps: Callable[[str], Sequence[str]]
    owner: str

    def read(self, variable: Record) -> dict[str, list[str]]:
        """The scope of a variable; raises :class:`Uncarried` when no deployment here meets it."""
        scope = variable.record("Scope")
        found: dict[str, list[str]] = {}
        for key in scope:
            folded = key.casefold()
            ids = scope.texts(key)
            if ids and folded not in _JOINED and not folded.endswith("name"):
                found |= self._of(folded, ids, variable)
        return found

    def _of(self, key: str, ids: list[str], variable: Record) -> dict[str, list[str]]:
        match key:
            case "environment":
                return {"environments": self._environments(ids, variable)}
            case "machine":
                return {"machines": _some(map(self._machine, ids), "machines")}
            case "role" | "targetrole":
                return {"roles": self.roles.names(ids)}
            case "channel":
                return {"channels": self._channels(ids, variable)}
            case "action":
                steps = [name for id_ in ids for name in self.steps(id_)]
                return {"steps": _some(steps, "steps")}
            case "processowner":
                if self.owner.casefold() in (id_.casefold() for id_ in ids):
                    return {}
                raise Uncarried("it is for runbooks only")
            case "tenanttag" | "tenant":
                raise Uncarried("it is for tenants only")
            case _:
                raise Uncarried(f"it is limited by {key}, which does not exist here")

    def _environments(self, ids: list[str], variable: Record) -> list[str]:
        for id_ in ids:
            self.export.require(id_, Kind.ENVIRONMENT, variable.place, "Scope.Environment")
        return [name for id_ in dict.fromkeys(ids) if (name := self.environments.find(id_))]

    def _channels(self, ids: list[str], variable: Record) -> list[str]:
        for id_ in ids:
            self.export.require(id_, Kind.CHANNEL, variable.place, "Scope.Channel")
        return [name for id_ in dict.fromkeys(ids) if (name := self.channels.find(id_))]

    def _machine(self, id_: str) -> str | None:
        """Exports of projects leave machines out, so one that is not there is no broken export."""
        document = self.export.find(id_)
        return self.machines.find(id_) if document and not document.reference else None


def _some(names: Sequence[str | None] | map[str | None], kind: str) -> list[str]:
    found = list(dict.fromkeys(name for name in names if name))
    if not found:
        raise Uncarried(f"it is for {kind} only that are not carried over")
    return found
