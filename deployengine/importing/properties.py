"""The settings of a step or an action, which Octopus keeps by long names in any case."""

from __future__ import annotations

from deployengine.importing.record import Record


class Properties:
    """Settings by name. The value of a sensitive one is never given out."""

    def __init__(self, owner: Record) -> None:
        self._record = owner.record("Properties")

    def text(self, name: str) -> str:
        """The setting as a text; empty when there is none, or a sensitive one."""
        value = self._record.raw(name)
        return str(value) if isinstance(value, str | bool | int | float) else ""

    def flag(self, name: str) -> bool:
        """Whether the setting says true."""
        return self.text(name).strip().casefold() == "true"

    def number(self, name: str) -> int | None:
        """The setting as a whole number; ``None`` when there is none, or it is an expression."""
        text = self.text(name).strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def unread(self) -> list[str]:
        """The settings of which nobody asked and that say something."""
        return self._record.unread()
