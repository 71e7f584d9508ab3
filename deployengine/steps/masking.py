"""Keeps secrets out of logs, chunk by chunk."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = b"********"

#: Shorter ones are not masked: they would blot out ordinary text, and tell what they are by that.
SHORTEST = 3


class Masker:
    """Replaces every secret in a stream of bytes by ``********``, wherever the chunks are cut.

    A secret of several lines is masked as a whole and line by line. Secrets that overlap in the
    text become one mask. Only bytes that may be the beginning of a secret are held back, never more
    than the longest secret; ``flush`` gives them out at the end of the stream.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first: of the secrets that begin at one place the alternation takes the longest.
        self._secrets = sorted(_pieces(secrets), key=lambda secret: (-len(secret), secret))
        self._any = re.compile(b"|".join(map(re.escape, self._secrets)))
        self._held = b""
        #: How many of the held bytes lie under a mask that went out already.
        self._covered = 0

    def feed(self, chunk: bytes) -> bytes:
        """What can be given out now; with no secrets the chunk itself."""
        if not self._secrets:
            return chunk
        text = self._held + chunk
        return self._give_out(text, self._first_beginning(text))

    def flush(self) -> bytes:
        """The rest, at the end of the stream; after it the masker is as new."""
        return self._give_out(self._held, len(self._held))

    def _give_out(self, text: bytes, until: int) -> bytes:
        """Masks ``text[:until]``, holds the rest; what begins before ``until`` is masked whole."""
        parts = []
        end = self._covered
        match = self._any.search(text) if self._secrets else None
        while match and match.start() < until:
            if match.start() >= end:
                parts += [text[end : match.start()], MASK]
            end = max(end, match.end())
            match = self._any.search(text, match.start() + 1)
        parts.append(text[end:until])
        self._held, self._covered = text[until:], max(end - until, 0)
        return b"".join(parts)

    def _first_beginning(self, text: bytes) -> int:
        """Where the earliest end piece of the text begins that a secret could go on from."""
        first = len(text)
        for secret in self._secrets:
            at = max(len(text) - len(secret) + 1, 0)
            while (at := text.find(secret[:1], at, first)) >= 0:
                if secret.startswith(text[at:]):
                    first = at
                at += 1
        return first


def _pieces(secrets: Iterable[str]) -> set[bytes]:
    wholes = {secret.encode("utf-8", "surrogateescape") for secret in secrets}
    lines = {line for whole in wholes for line in re.split(rb"[\r\n]+", whole)}
    return {piece for piece in wholes | lines if len(piece) >= SHORTEST}
