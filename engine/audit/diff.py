"""Compares the contents of two moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from retain.engine.audit.contents import Holding

ADDED, REMOVED, CHANGED = "added", "removed", "changed"


@dataclass(frozen=True, slots=True)
class ContentsChange:
    """One resource that changed.

    Attributes:
        what: `added`, `removed` or `changed`.
        before: The contents before, None if none.
        after: The contents after, None if none.
        fields: Paths of the differences in a changed one, such as `keys.phone.text`.

    """

    what: str
    before: Holding | None
    after: Holding | None
    fields: tuple[str, ...] = ()

    @property
    def holding(self) -> Holding:
        """The newer of the two."""
        found = self.before if self.after is None else self.after
        assert found is not None, "a change has a state before, after or both"
        return found


def compare_contents(before: Iterable[Holding], after: Iterable[Holding]) -> Iterator[ContentsChange]:
    """Yield the changes: added and changed resources in the order of `after`, then removed ones.

    A resource is the same as long as its number and kind are. One that was deleted and created again under
    its old name is one removed and one added.
    """
    old = {(one["kind"], one["resource"]): one for one in before}
    for new in after:
        was = old.pop((new["kind"], new["resource"]), None)
        if was is None:
            yield ContentsChange(ADDED, None, new)
        elif was != new:
            yield ContentsChange(CHANGED, was, new, tuple(_differing(was, new)))
    for gone in old.values():
        yield ContentsChange(REMOVED, gone, None)


def _differing(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield path
        return
    for name in (*old, *(name for name in new if name not in old)):
        if name not in old or name not in new or old[name] != new[name]:
            yield from _differing(old.get(name), new.get(name), f"{path}.{name}" if path else str(name))
