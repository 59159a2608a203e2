"""Names and name patterns in a selection: a plain name matches literally."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of names.

    `*` matches any characters, `?` matches one, and a backslash escapes the next character.

    Attributes:
        text: The pattern as written.
        except_for: Names that it never matches: a reader who may not learn them could guess them
            piece by piece.

    Raises:
        ValueError: A backslash ends the pattern.

    """

    text: str
    except_for: re.Pattern[str] | None = None
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(_expression(self.text), re.DOTALL))

    def matches(self, name: str) -> bool:
        """Return whether the whole name matches."""
        if self.except_for is not None and self.except_for.fullmatch(name) is not None:
            return False
        return self._compiled.fullmatch(name) is not None


Wanted = str | Pattern
"""A name, or a pattern of names."""


def called(name: str, wanted: Wanted) -> bool:
    """Return whether `name` is, or matches, what is `wanted`."""
    return wanted.matches(name) if isinstance(wanted, Pattern) else name == wanted


def _expression(text: str) -> str:
    pieces = [""]
    at = 0
    while at < len(text):
        one = text[at]
        if one == "\\":
            at += 1
            if at == len(text):
                raise ValueError(f"the pattern {text} ends in a backslash; write \\\\ for one")
            pieces[-1] += re.escape(text[at])
        elif one == "*":
            pieces.append("")
        else:
            pieces[-1] += "." if one == "?" else re.escape(one)
        at += 1
    first, *rest = pieces
    if not rest:
        return first
    # Atomic groups: each piece is searched once, from the left, so that no pattern takes exponential time.
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return f"{first}{middle}.*{rest[-1]}"
