"""Render a receipt as one self-contained HTML page with the proof embedded in it."""

from __future__ import annotations

import json
import re
from typing import Any

from retain.api.html.static import asset
from retain.engine.audit.log import CAUSES, INTERFACES, VERBS, name_of
from retain.engine.audit.receipts import PartErasure, Proven, Receipt, Verdict
from retain.engine.core.time import timestamp

_NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'  # HTML needs no closing tag here
_PARTS = tuple(
    f"/* --- {name}"
    for name in (
        "tokens",
        "base",
        "page",
        "tables",
        "small parts",
        "states",
        "single",
        "small screens",
        "pref",
        "print",
    )
)
_CAUSES = {int(number): name for name, number in CAUSES.items()}
_VERBS = {int(number): name for name, number in VERBS.items()}
_INTERFACES = {int(number): name for name, number in INTERFACES.items()}


def facts_of(verdict: Verdict) -> dict[str, Any]:
    """Return the facts that a receipt proves, as JSON values."""
    ended = [one.content for one in verdict.records if one.content is not None]
    if verdict.erased and ended:
        last = max(erasure.done or 0 for erasure in ended)
        words = f"All content of these records was erased by {timestamp(last)}."
    elif verdict.erased:
        words = "These records never had any content."
    else:
        words = "Not all content of these records is proven to be erased."
    return {
        "log": verdict.checkpoint.origin,
        "size": verdict.checkpoint.size,
        "root": verdict.checkpoint.root.hex(),
        "resource": verdict.resource.hex(),
        "erased": verdict.erased,
        "verdict": words,
        "records": [_record(one) for one in verdict.records],
    }


def _record(one: Proven) -> dict[str, Any]:
    header = one.header
    verb = _VERBS.get(header.verb, str(header.verb))
    cause = _CAUSES.get(header.cause, str(header.cause))
    interface = _INTERFACES.get(header.interface, str(header.interface))
    about, name, event = one.about, None, verb
    if about is not None and about.kind is not None:
        name = about.kind.subject(about.details)
        event = name_of(about.kind.__name__)
    return {
        "seq": header.seq,
        "time": timestamp(header.time),
        "interface": interface,
        "what": f"{event} ({cause})",
        "name": name,
        "actor": None if about is None else about.actor,
        "content": _state(one.content, header.content_size),
        "details": _state(one.details, header.details_size),
    }


def _state(erasure: PartErasure | None, size: int) -> str:
    if not size:
        return "none"
    if erasure is None:
        return "kept"
    cause = _CAUSES.get(erasure.cause, str(erasure.cause))
    if erasure.done is None:
        return f"erasure ordered {timestamp(erasure.ordered)} ({cause})"
    return f"erased {timestamp(erasure.done)} ({cause})"


def page(value: Receipt, verdict: Verdict) -> str:
    """Return the receipt as a page without scripts; the proof is embedded as data that no browser runs."""
    from markupsafe import Markup  # other commands of `retain audit` do not need it

    from retain.api.html.rendering import environment

    style = Markup(_style(asset("retain.css").content.decode()))  # noqa: S704 - our own file
    mark = Markup(asset("mark.svg").content.decode().replace(_NAMESPACE, ""))  # noqa: S704
    # In JSON, < occurs inside texts only, so the escape changes no value and keeps the element closed.
    proof = Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704
    template = environment("retain.api.console").get_template("receipt.html")
    return template.render(receipt=value, facts=facts_of(verdict), proof=proof, style=style, mark=mark)


def _style(stylesheet: str) -> str:
    """Return the parts of the stylesheet that the page uses, to keep the file small."""
    parts = re.split(r"(?=^/\* --- )", stylesheet, flags=re.MULTILINE)
    return "".join(part for part in parts if part.startswith(_PARTS))
