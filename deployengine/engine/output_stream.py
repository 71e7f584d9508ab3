"""A run's output on its way from the ticket into the database: masked, decoded, in batches."""

from __future__ import annotations

import codecs

from deployengine.persistence import Database
from deployengine.steps.contract import Ticket
from deployengine.steps.masking import Masker

#: Bytes read from a ticket at once, and between two looks at time-out and cancel.
PIECE = 65_536
TURN = 32 * PIECE
#: Bytes of one run's output that are kept; what is beyond is counted and left out.
LIMIT = 10_000_000


class OutputStream:
    """Reads on where it stopped; what it has stored it does not read again.

    A piece ends before anything that is still open: the beginning of a secret, half a character.
    Text that could not be stored is kept for the next time. Of a script that prints without end
    the first ``limit`` bytes are kept.
    """

    def __init__(
        self,
        database: Database,
        run_id: int,
        ticket: Ticket,
        masker: Masker,
        limit: int = LIMIT,
    ) -> None:
        self._database = database
        self._run_id = run_id
        self._ticket = ticket
        self._masker = masker
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._read = 0
        self._stored = 0
        self._left_out = 0
        self._unstored: list[str] = []

    def save(self) -> None:
        """Stores what the script has printed since the last time."""
        self._read_on(TURN)
        if any(self._unstored):
            with self._database.write("output") as tx:
                tx.outputs.append(self._run_id, self._stored, self._read, self._text())
            self._stored = self._read
            self._unstored.clear()

    def finish(self) -> None:
        """Reads the rest, once the script has ended; :attr:`rest` then holds it."""
        while self._read_on(TURN):
            pass
        # What the masker still holds back may be half a secret, if the limit has cut it there.
        held = b"" if self._left_out else self._masker.flush()
        self._unstored.append(self._decoder.decode(held, final=True))
        if self._left_out:
            self._unstored.append(f"\n… {self._left_out} bytes more were left out\n")

    @property
    def rest(self) -> tuple[int, int, str] | None:
        """Start, stop and text of what is not stored yet, for the caller to store."""
        return (self._stored, self._read, self._text()) if any(self._unstored) else None

    def _read_on(self, most: int) -> bool:
        """Reads about so many bytes at most; whether there may be more."""
        end = self._read + most
        while self._read < end:
            chunk = self._ticket.output(self._read, PIECE)
            if not chunk:
                return False
            kept = chunk[: max(self._limit - self._read, 0)]
            self._read += len(chunk)
            self._left_out += len(chunk) - len(kept)
            self._unstored.append(self._decoder.decode(self._masker.feed(kept)))
        return True

    def _text(self) -> str:
        # PostgreSQL takes no NUL in a text.
        return "".join(self._unstored).replace("\0", "\N{REPLACEMENT CHARACTER}")
