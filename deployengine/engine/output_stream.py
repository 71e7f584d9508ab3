"""A run's output on its way from the ticket into the database: masked, decoded, in batches."""

from __future__ import annotations

import codecs

from deployengine.persistence import Database
from deployengine.steps.contract import Ticket
from deployengine.steps.masking import Masker

#: Bytes read from a ticket at once.
PIECE = 65_536


class OutputStream:
    """Reads on where it stopped; what it has stored it does not read again.

    A piece ends before anything that is still open: the beginning of a secret, half a character.
    Text that could not be stored is kept for the next time.
    """

    def __init__(self, database: Database, run_id: int, ticket: Ticket, masker: Masker) -> None:
        self._database = database
        self._run_id = run_id
        self._ticket = ticket
        self._masker = masker
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._read = 0
        self._stored = 0
        self._unstored: list[str] = []

    def save(self) -> None:
        """Stores what the script has printed since the last time."""
        self._read_on()
        if any(self._unstored):
            with self._database.write() as tx:
                tx.outputs.append(self._run_id, self._stored, self._read, self._text())
            self._stored = self._read
            self._unstored.clear()

    def finish(self) -> None:
        """Reads the rest, once the script has ended; :attr:`rest` then holds it."""
        self._read_on()
        self._unstored.append(self._decoder.decode(self._masker.flush(), final=True))

    @property
    def rest(self) -> tuple[int, int, str] | None:
        """Start, stop and text of what is not stored yet, for the caller to store."""
        return (self._stored, self._read, self._text()) if any(self._unstored) else None

    def _read_on(self) -> None:
        while chunk := self._ticket.output(self._read, PIECE):
            self._read += len(chunk)
            self._unstored.append(self._decoder.decode(self._masker.feed(chunk)))

    def _text(self) -> str:
        # PostgreSQL takes no NUL in a text.
        return "".join(self._unstored).replace("\0", "\N{REPLACEMENT CHARACTER}")
