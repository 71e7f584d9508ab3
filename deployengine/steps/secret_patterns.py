"""Finds the forms of secrets in bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from functools import lru_cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from deployengine.steps.encodings import DIGITS, SHORTEST, forms
from deployengine.steps.ticket import encode
from deployengine.steps.unwrapped import Unwrapped


class SecretPatterns:
    """Every form of some secrets in one automaton, which reads a text once, however many there are.

    Never changes, so threads may share it.
    """

    def __init__(self, secrets: Collection[str]) -> None:
        found = forms(secrets)
        self._forms = sorted({f._replace(text=Unwrapped(f.text).text) for f in found} | found)
        self._texts = sorted({form.text for form in self._forms})
        self._heads = {text[:SHORTEST] for text in self._texts}
        self._longest = max(map(len, self._texts), default=0)
        self._automaton = BytesAhoCorasick(
            [form.text for form in self._forms], implementation=Implementation.ContiguousNFA
        )

    def __bool__(self) -> bool:
        return bool(self._forms)

    def stand_in(self, text: str) -> bool:
        """Whether the text holds a form of a secret."""
        return bool(self._automaton.find_matches_as_indexes(Unwrapped(encode(text)).text))

    def spans(self, within: Unwrapped) -> Iterator[tuple[int, int]]:
        """Where in the raw text a form stands, from its first byte to the one after its last.

        They come in no order and may overlap.
        """
        text = within.text
        for form, start, stop in self._automaton.find_matches_as_indexes(text, overlapping=True):
            if self._forms[form].lead:
                start = _with_lead(text, start)
            yield within.place(start), within.place(stop - 1) + 1

    def beginning(self, within: Unwrapped) -> int:
        """Where in the raw text the earliest end piece begins that a form could go on from."""
        text = within.text
        first = next(filter(lambda at: self._goes_on(text, at), self._ends(text)), len(text))
        return within.place(_with_lead(text, first))

    def _ends(self, text: bytes) -> range:
        return range(max(len(text) - self._longest + 1, 0), len(text))

    def _goes_on(self, text: bytes, at: int) -> bool:
        head = text[at : at + SHORTEST]
        if len(head) == SHORTEST and head not in self._heads:
            return False
        end = text[at:]
        after = bisect_right(self._texts, end)
        return after < len(self._texts) and self._texts[after].startswith(end)


def _with_lead(text: bytes, start: int) -> int:
    return start - 1 if start and text[start - 1] in DIGITS else start


@lru_cache(maxsize=32)
def secret_patterns(secrets: frozenset[str]) -> SecretPatterns:
    """The patterns of these secrets, made once for the many runs that share them."""
    return SecretPatterns(secrets)
