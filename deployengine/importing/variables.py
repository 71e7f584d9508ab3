"""Variables of projects and library sets."""

from __future__ import annotations

from typing import Any

from deployengine.catalog.names import variable_name
from deployengine.domain import flags
from deployengine.domain.variables import is_system, key
from deployengine.importing.insertable import readable, renamed
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Items, Report, Uncarried
from deployengine.importing.scopes import Scopes

_NOT_IN_CLEAR = "its value is sensitive, and no export has it in clear"
_ASKED = "it is asked for at each deployment, until its value is written here"


class Variables:
    """Turns one set of variables into the variables of a project or of a set.

    ``changed`` are the steps that bear another name here. No sensitive value is looked at, whether
    it is left empty, encrypted or, by an oversight of somebody, in clear.
    """

    def __init__(self, scopes: Scopes, changed: dict[str, str], report: Report) -> None:
        self._scopes = scopes
        self._changed = changed
        self._report = report

    def items(self, variables: Record) -> Items:
        """The variables; those that cannot be carried over are told above the list."""
        items = Items()
        seen: set[tuple[str, str]] = set()
        for read in variables.records("Variables"):
            read.place = variables.place.inside(f"variable {read.text('Name')}")
            try:
                entry = self._variable(read)
                self._once(entry, seen)
            except Uncarried as reason:
                self._report.tell(read.place, str(reason), "left out", items)
                continue
            self._report.rest(read, entry)
            items.append(entry)
        for known in ("OwnerId", "OwnerType", "ScopeValues"):
            variables.raw(known)
        self._report.rest(variables, items)
        return items

    def _variable(self, read: Record) -> Entry:
        entry = Entry(name=_name(read))
        if description := read.text("Description").strip():
            entry.notes.append(description)
        type_ = read.text("Type").strip() or "String"
        sensitive = read.flag("IsSensitive") or type_.casefold() == "sensitive"
        scope = self._scopes.read(read)
        prompt = self._prompt(read, entry)
        if sensitive:
            read.raw("Value")
            entry["sensitive"] = True
            prompt = {"label": entry["name"], **prompt, "required": True}
            self._report.tell(read.place, _NOT_IN_CLEAR, _ASKED, entry)
        elif type_.casefold() != "string":
            raise Uncarried(f"its value is an account, a certificate or a pool ({type_})")
        else:
            value = self._value(read, entry)
            if value or not prompt:
                entry["value"] = value
        if scope:
            entry["scope"] = scope
        if prompt:
            entry["prompt"] = prompt
        return entry

    def _value(self, read: Record, entry: Entry) -> str:
        value = renamed(read.text("Value"), self._changed)
        try:
            readable(value)
        except Uncarried as reason:
            raise Uncarried(f"its value is one in which {reason}") from reason
        if key(entry["name"]) == key(flags.BYPASS) and "#{" not in value:
            try:
                flags.bypass(value)
            except flags.UnparsableFlag:
                what = f"its value is {value!r}, which Octopus takes for False"
                self._report.tell(read.place, what, "it is False", entry)
                return "False"
        return value

    def _prompt(self, read: Record, entry: Entry) -> dict[str, Any]:
        prompt = read.record("Prompt")
        if not prompt:
            return {}
        found: dict[str, Any] = {"label": prompt.text("Label").strip() or entry["name"]}
        if description := prompt.text("Description").strip():
            found["description"] = description
        if prompt.flag("Required"):
            found["required"] = True
        self._report.rest(prompt, entry)
        return found

    def _once(self, entry: Entry, seen: set[tuple[str, str]]) -> None:
        """Of several values with one scope Octopus takes any; here the first one is kept."""
        scope = {kind: sorted(names) for kind, names in entry.get("scope", {}).items()}
        alike = (key(entry["name"]), str(sorted(scope.items())).casefold())
        if alike in seen:
            raise Uncarried("another value of it has the same scope")
        seen.add(alike)


def _name(read: Record) -> str:
    try:
        name = variable_name(read.text("Name"))
    except ValueError as error:
        raise Uncarried(str(error)) from error
    if is_system(name):
        raise Uncarried("the engine itself sets it")
    return name
