"""Why a node's tasks failed: the single errors of a group, and their messages."""

from __future__ import annotations

from collections.abc import Iterable


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors that a group of errors consists of; one error alone if it is no group."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]


def in_words(errors: Iterable[BaseException]) -> str:
    """Return their messages, each once; the kind of an error that has no message."""
    return "; ".join(dict.fromkeys(str(one) or type(one).__name__ for one in errors))


def with_lag(why: str, behind: int) -> str:
    """Return why a node waits, and whether it lacks records: how many changes often, and is a metric."""
    return f"{why}; it lacks records that the shared log has" if behind else why
