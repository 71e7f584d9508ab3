"""What can go wrong with the locks; a Redis that cannot be reached raises ``Unreachable``."""


class LocksError(Exception):
    """The locks refused an operation; nothing was changed."""


class LocksNotReady(LocksError):
    """The locks are not loaded under this generation: rebuild them from the database."""

    def __init__(self, expected: int, found: str) -> None:
        self.expected = expected
        self.found = found
        if found == str(expected):
            state = "were loaded on another server"
        else:
            state = f"are at generation {found}" if found else "are empty or being rebuilt"
        super().__init__(f"the locks {state}, generation {expected} was expected")


class RebuildSuperseded(LocksError):
    """A newer rebuild has begun: leave the locks to it."""

    def __init__(self) -> None:
        super().__init__("another rebuild of the locks has begun since; this one was given up")


class GenerationStale(LocksError):
    """The locks are at, or being rebuilt for, a newer generation than the one given."""

    def __init__(self, expected: int, found: str) -> None:
        super().__init__(
            f"the locks are at generation {found}, newer than {expected}; if the database was"
            " restored from a backup, raise its generation above that"
        )
