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
    """

    def __init__(self, database: Database, run_id: int, ticket: Ticket, masker: Masker) -> None:
        self._database = database
        self._run_id = run_id
        self._ticket = ticket
        self._masker = masker
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._read = 0
        self._stored = 0

    def save(self) -> None:
        """Stores what the script has printed since the last time."""
        piece = self._next(final=False)
        if piece is not None:
            with self._database.write() as tx:
                tx.outputs.append(self._run_id, *piece)

    def finish(self) -> tuple[int, int, str] | None:
        """The rest, once the script has ended: start, stop and text, for the caller to store."""
        return self._next(final=True)

    def _next(self, *, final: bool) -> tuple[int, int, str] | None:
        text = []
        while chunk := self._ticket.output(self._read, PIECE):
            self._read += len(chunk)
            text.append(self._decoder.decode(self._masker.feed(chunk)))
        if final:
            text.append(self._decoder.decode(self._masker.flush(), final=True))
        joined = "".join(text).replace("\0", "\N{REPLACEMENT CHARACTER}")
        if not joined:
            return None
        start, self._stored = self._stored, self._read
        return start, self._stored, joined
