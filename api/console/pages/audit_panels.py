"""The panels beside the timeline: long work, and the beginning of the log."""

from __future__ import annotations

from typing import Any

from retain.api.console.routing.call import PageCall
from retain.api.html.filters import moment_of
from retain.engine.audit.timeline import first as beginning
from retain.engine.core.time import SECOND

STEPS = 200
"""Places on the slider, at least a minute apart."""


async def panels(call: PageCall) -> dict[str, Any]:
    """Return the values of the audit page's panels."""
    evidence = call.desk.evidence
    first = await evidence.read(beginning, evidence.trail)
    return {
        "first": first,
        "slider": slider(call, call.now if first is None else first),
        "running": evidence.bench.now,
        "verify": evidence.bench.last("verify"),
        "state": evidence.bench.last("state"),
        "exported": call.desk.administration.checkpoints.last,
    }


def slider(call: PageCall, start: int) -> dict[str, Any]:
    """Return a line of moments from `start` to the present, for a slider."""
    began = moment_of(start).astimezone(call.zone).replace(second=0, microsecond=0)
    length = max(60, int((moment_of(call.now) - began).total_seconds()))
    step = max(60, -(-length // STEPS))
    return {
        "from": f"{began:%Y-%m-%dT%H:%M}",
        "now": f"{moment_of(call.now + SECOND).astimezone(call.zone):%Y-%m-%dT%H:%M:%S}",
        "step": step,
        "most": -(-length // step),
        "start": start,
    }
