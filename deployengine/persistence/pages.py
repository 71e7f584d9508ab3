"""Many ids, a query's worth at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: Ids in one query; the databases take some thousands.
PAGE = 500


def pages(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The ids in portions; none for no ids."""
    for begin in range(0, len(ids), PAGE):
        yield ids[begin : begin + PAGE]
