"""Keeps secrets out of logs, chunk by chunk."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from deployengine import failpoints
from deployengine.steps.secret_patterns import SecretPatterns, secret_patterns
from deployengine.steps.unwrapped import WIDTH, Unwrapped

log = logging.getLogger("deployengine.masking")

MASK = b"********"
WITHHELD = "\n… the output is withheld from here on: it could not be masked (%s)\n"

#: So many bytes before what is held are kept, since they tell whether a break in it wraps.
_CONTEXT = WIDTH + 1


class Masker:
    """Replaces every secret in a stream of bytes by ``********``, wherever the chunks are cut.

    Found are all the forms of :mod:`~deployengine.steps.encodings`, also where long lines were
    wrapped. Forms that overlap in the text become one mask. Only bytes that may be the beginning of
    a form are held back, never more than the longest one; ``flush`` gives them out at the end.

    It fails closed: if anything goes wrong, even in making it, :data:`WITHHELD` and no more comes.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._closed = False
        self._notice = b""
        self._stream: _Stream | None = None
        try:
            masked = () if failpoints.left_out("masking") else secrets
            patterns = secret_patterns(frozenset(masked))
            self._stream = _Stream(patterns) if patterns else None
        except Exception as error:
            self._close(error)

    def feed(self, chunk: bytes) -> bytes:
        """What can be given out now; with no secrets the chunk itself."""
        return self._masked(chunk, last=False)

    def flush(self) -> bytes:
        """The rest, at the end of the stream; after it the masker is as new."""
        return self._masked(b"", last=True)

    def _masked(self, chunk: bytes, *, last: bool) -> bytes:
        if self._stream and not self._closed:
            try:
                return self._stream.masked(chunk, last=last)
            except Exception as error:
                self._close(error)
        notice, self._notice = self._notice, b""
        return notice if self._closed else chunk

    def _close(self, error: Exception) -> None:
        # Only the kind of error: its text and its traceback may hold what was to be masked.
        kind = type(error).__name__
        log.error("an output is withheld, as it could not be masked: %s", kind)
        self._closed = True
        self._notice = (WITHHELD % kind).encode()


class _Stream:
    """What is held of a stream: the end of the bytes that came, some of them given out already."""

    def __init__(self, patterns: SecretPatterns) -> None:
        self._patterns = patterns
        self._text = b""
        #: Up to here nothing begins any more that is not complete.
        self._settled = 0
        #: Up to here it was given out, or lies under a mask that was.
        self._out = 0

    def masked(self, chunk: bytes, *, last: bool) -> bytes:
        text = Unwrapped(self._text + chunk)
        settled = len(text.raw) if last else self._patterns.beginning(text)
        parts = []
        for start, stop in sorted(self._patterns.spans(text)):
            if self._settled <= start < settled:
                if start >= self._out:
                    parts += [text.raw[self._out : start], MASK]
                self._out = max(self._out, stop)
        parts.append(text.raw[self._out : settled])
        self._keep(text.raw, settled)
        return b"".join(parts)

    def _keep(self, raw: bytes, settled: int) -> None:
        """Forgets what is of no use any more."""
        gone = max(settled - _CONTEXT, 0)
        self._text = raw[gone:]
        self._settled = settled - gone
        self._out = max(self._out, settled) - gone
