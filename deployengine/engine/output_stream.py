"""A run's output on its way from the ticket into the database: masked, decoded, in batches."""

from __future__ import annotations

import codecs

from deployengine import failpoints
from deployengine.engine.claims import Claimed, Relinquished
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

    Who carries on another worker's stream gives what is ``stored`` of it, in bytes and characters.
    It reads all of it again, since what was held back is not on record, and masking goes by what
    came before; the characters that are stored already are left out.
    """

    def __init__(
        self,
        database: Database,
        claimed: Claimed,
        ticket: Ticket,
        masker: Masker,
        stored: tuple[int, int] | None = None,
        limit: int = LIMIT,
    ) -> None:
        self._database = database
        self._claimed = claimed
        self._ticket = ticket
        self._masker = masker
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._read = 0
        self._stored, self._skip = stored or (0, 0)
        self._left_out = 0
        self._unstored: list[str] = []

    @property
    def any(self) -> bool:
        """Whether the script has been seen to print anything, here or by another worker."""
        return max(self._read, self._stored) > 0

    def save(self) -> None:
        """Stores what the script has printed since the last time.

        Raises :class:`Relinquished` when the run is another worker's by now.
        """
        self._read_on(TURN)
        if any(self._unstored) and self._read > self._stored:
            run = self._claimed.run
            with self._database.write("output") as tx:
                owned = tx.claims.owned(run.id, self._claimed.fence)
                if not owned and not failpoints.left_out("output-owner"):
                    raise Relinquished("another worker")
                tx.outputs.append(run.id, self._stored, self._read, self._text())
            self._stored = self._read
            self._unstored.clear()

    def finish(self) -> None:
        """Reads the rest, once the script has ended; :attr:`rest` then holds it."""
        while self._read_on(TURN):
            pass
        # What the masker still holds back may be half a secret, if the limit has cut it there.
        held = b"" if self._left_out else self._masker.flush()
        self._add(self._decoder.decode(held, final=True))
        if self._left_out:
            self._add(f"\n… {self._left_out} bytes more were left out\n")

    @property
    def rest(self) -> tuple[int, int, str] | None:
        """Start, stop and text of what is not stored yet, for the caller to store."""
        stop = max(self._read, self._stored)
        return (self._stored, stop, self._text()) if any(self._unstored) else None

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
            self._add(self._decoder.decode(self._masker.feed(kept)))
        return True

    def _add(self, text: str) -> None:
        skipped = text[: self._skip]
        self._skip -= len(skipped)
        self._unstored.append(text[len(skipped) :])

    def _text(self) -> str:
        # PostgreSQL takes no NUL in a text.
        return "".join(self._unstored).replace("\0", "\N{REPLACEMENT CHARACTER}")
