"""The query of a request: the original parameter, and additions, which original clients never send."""

from __future__ import annotations

import re
from dataclasses import dataclass

from retain.api.http.message import BadRequest, Request

_NUMBER = re.compile(r"[0-9]{1,9}")

HISTORY_MAX = 1_000
HISTORY_DEFAULT = 100


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of the query.

    Attributes:
        merged: `overwrite`: whether the levels above show through (docs/wire/settings.md, section 4).
        keys: `keys`: only the names of the children.
        wait_s: `wait`: seconds to wait for a change; 0 does not wait.
        watch: `watch`: a stream of changes.
        history: `history`: the greatest number of versions; 0 requests none.
        version: `version`: an earlier revision; None is the present.
        restore: `restore`: the revision to put back; None puts back nothing.
    """

    merged: bool = True
    keys: bool = False
    wait_s: int = 0
    watch: bool = False
    history: int = 0
    version: int | None = None
    restore: int | None = None


PLAIN = Query()
_NAMES = frozenset({"overwrite", "keys", "wait", "watch", "history", "version", "restore"})


def read_query(request: Request, *, merging: bool, max_wait_s: int) -> Query:
    """Return the parameters of a request; unknown ones are ignored.

    Args:
        request: The request.
        merging: Whether `overwrite` has a meaning here: in a GET at user or device level.
        max_wait_s: Longest wait; longer ones are cut down to it.

    Raises:
        BadRequest: An invalid value, or a parameter twice.
    """
    if not request.raw_query:
        return PLAIN
    given: dict[str, str] = {}
    for name, value in request.query_pairs():
        # SAP's page spells the parameter both ways (docs/wire/settings.md, section 2).
        known = "overwrite" if name.lower() == "overwrite" else name
        if known not in _NAMES or (known == "overwrite" and not merging):
            continue
        if known in given:
            raise BadRequest(f"{known} is given twice")
        given[known] = value
    flags = {name: _flag(name, given[name]) for name in ("keys", "watch") if name in given}
    history = given.get("history")
    return Query(
        merged=_truth(given["overwrite"]) if "overwrite" in given else True,
        wait_s=min(_number("wait", given["wait"]), max_wait_s) if "wait" in given else 0,
        history=0
        if history is None
        else min(_number("history", history or str(HISTORY_DEFAULT)), HISTORY_MAX),
        version=_number("version", given["version"]) if "version" in given else None,
        restore=_number("restore", given["restore"]) if "restore" in given else None,
        **flags,
    )


def _truth(value: str) -> bool:
    lowered = value.lower()
    if lowered not in {"true", "false"}:
        raise BadRequest("overwrite must be true or false")
    return lowered == "true"


def _flag(name: str, value: str) -> bool:
    if value and value.lower() not in {"true", "false"}:
        raise BadRequest(f"{name} must be true or false")
    return value.lower() != "false"


def _number(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise BadRequest(f"{name} must be a number")
    return int(value)
