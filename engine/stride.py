"""How much of an erasure is done in one step. Pure."""

MILLISECOND = 1_000_000
LONG = 20 * MILLISECOND
"""A step that takes longer is followed by smaller ones: meanwhile nobody else's change becomes durable."""
LEAST = 16
"""Records; a step costs three syncs, however few it erases."""


class Stride:
    """So many records as the disk erases without holding others up for long.

    Attributes:
        records: The next step takes at most so many.
    """

    def __init__(self, most: int) -> None:
        self.records = most
        self._most = most

    def took(self, duration: int, records: int) -> None:
        """A step of so many records took ``duration`` nanoseconds."""
        if duration > LONG:
            self.records = max(LEAST, records // 2)
        elif duration < LONG // 4 and records == self.records:
            self.records = min(self._most, records * 2)
