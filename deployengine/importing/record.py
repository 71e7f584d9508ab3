"""An object of the export, which remembers what was read of it, so that nothing is lost unsaid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployengine.domain.errors import Fault, InvalidInput
from deployengine.importing.report import Place

#: Keys, in lower case, that say nothing which a catalog could hold.
_SILENT = frozenset(
    {
        *("id", "spaceid", "slug", "links", "version", "dataversion", "lastmodified"),
        *("lastmodifiedon", "lastmodifiedby", "relateddocumentids", "usedpackages", "iseditable"),
        *(
            "clonedfromprojectid",
            "lastsnapshotid",
            "canbeusedforprojectversioning",
            "isbadgesenabled",
        ),
        *("logoattachmentkey", "logoattachmentmimetype", "icon", "discretechannelrelease"),
    }
)

#: Values that say what is so anyway, by their keys in lower case.
_USUAL: Mapping[str, tuple[Any, ...]] = {
    "type": ("Static",),
    "tenanteddeploymentmode": ("Untenanted",),
    "tenanteddeploymentparticipation": ("Untenanted",),
    "packagerequirement": ("LetOctopusDecide",),
    "skipmachinebehavior": ("None",),
    "allowdeploymentstonotargets": (True,),
    "persistencesettings.type": ("Database",),
    "displaysettings.octopus.controltype": ("SingleLineText", "Sensitive"),
}

_EMPTY: tuple[Any, ...] = (None, "", "False", "false", 0, [], {})


class Record:
    """One JSON object. Keys are found whatever their case, as Octopus itself finds them.

    The readers raise :class:`InvalidInput` where a value is of another sort than they promise.
    """

    def __init__(self, data: Mapping[str, Any], place: Place) -> None:
        self.place = place
        self._data = {key.casefold(): (key, value) for key, value in data.items()}
        self._read: set[str] = set()

    def raw(self, key: str) -> Any:
        """The value as it stands there; ``None`` when there is none."""
        self._read.add(key.casefold())
        return self._data.get(key.casefold(), (key, None))[1]

    def text(self, key: str) -> str:
        """The text; empty when there is none. Numbers and truth values as Octopus writes them."""
        value = self.raw(key)
        if value is None:
            return ""
        if isinstance(value, str | bool | int | float):
            return str(value)
        raise self._wrong(key, "a text")

    def flag(self, key: str) -> bool:
        """Whether it says true."""
        return self.text(key).strip().casefold() == "true"

    def number(self, key: str) -> int | None:
        """The whole number, ``None`` when there is none."""
        text = self.text(key).strip()
        if not text:
            return None
        if text.removeprefix("-").isdecimal() and len(text) < 10:
            return int(text)
        raise self._wrong(key, "a whole number")

    def texts(self, key: str) -> list[str]:
        """The list of texts; empty when there is none."""
        value = self.raw(key)
        value = [] if value is None else value
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return list(value)
        raise self._wrong(key, "a list of texts")

    def record(self, key: str) -> Record:
        """The object there; an empty one when there is none."""
        value = self.raw(key)
        if value is None or isinstance(value, dict):
            return Record(value or {}, self.place)
        raise self._wrong(key, "an object")

    def records(self, key: str) -> list[Record]:
        """The objects of a list; none when there is no list."""
        value = self.raw(key)
        value = [] if value is None else value
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return [Record(each, self.place) for each in value]
        raise self._wrong(key, "a list of objects")

    def __iter__(self) -> Iterator[str]:
        """The keys as they are written."""
        return iter([key for key, _ in self._data.values()])

    def __len__(self) -> int:
        return len(self._data)

    def unread(self) -> list[str]:
        """The keys of which nobody asked and that say something, those of objects with a dot."""
        return [
            key
            for folded, (name, value) in self._data.items()
            if folded not in self._read and folded not in _SILENT
            for key in _telling(name, value)
        ]

    def _wrong(self, key: str, sort: str) -> InvalidInput:
        return InvalidInput([Fault(f"{key} is not {sort}", self.place.file, None, self.place.name)])


def _telling(key: str, value: Any) -> Iterator[str]:
    """The key, or those inside its object, unless they say what is so anyway."""
    usual = _USUAL.get(key.casefold(), _USUAL.get(key.rpartition(".")[2].casefold(), ()))
    if value in _EMPTY or value in usual:
        return
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from _telling(f"{key}.{inner}", each)
        return
    yield key
