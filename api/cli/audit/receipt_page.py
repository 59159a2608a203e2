"""A receipt for people: one HTML page that needs nothing else, with the proof itself inside it."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from retain.engine.audit.contents import timestamp
from retain.engine.audit.log import CAUSES, INTERFACES, VERBS, name_of
from retain.engine.audit.receipts import Gone, Proven, Receipt, Verdict

_EMBEDDED = re.compile(r'<script type="application/json" id="receipt">(.*?)</script>', re.DOTALL)
_CAUSES = {int(number): name for name, number in CAUSES.items()}
_VERBS = {int(number): name for name, number in VERBS.items()}
_INTERFACES = {int(number): name for name, number in INTERFACES.items()}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } caption { text-align: left; padding-bottom: .5rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0;
  border-bottom: 1px solid #ccc }
code, pre { font-family: ui-monospace, monospace; font-size: .875rem; overflow-wrap: anywhere;
  white-space: pre-wrap }
.verdict { border-left: .3rem solid #1a6b2f; padding: .5rem 1rem; background: #eef7f0 }
.open { border-color: #8a5a00; background: #fdf6e7 }
@media print { body { margin: 0 } }
"""


def told(verdict: Verdict) -> dict[str, Any]:
    """What a receipt proves, in words and JSON values."""
    ended = [one.content for one in verdict.records if one.content is not None]
    if verdict.erased and ended:
        last = max(gone.done or 0 for gone in ended)
        words = f"All content that these records ever had was erased by {timestamp(last)}."
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
    interface = _INTERFACES.get(header.surface, str(header.surface))
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


def _state(gone: Gone | None, size: int) -> str:
    if not size:
        return "none"
    if gone is None:
        return "kept"
    cause = _CAUSES.get(gone.cause, str(gone.cause))
    if gone.done is None:
        return f"erasure ordered {timestamp(gone.ordered)} ({cause})"
    return f"erased {timestamp(gone.done)} ({cause})"


def page(value: Receipt, verdict: Verdict) -> str:
    """The receipt as a page. Scripts are nowhere in it; the proof is data that no browser runs."""
    facts = told(verdict)
    rows = "\n".join(
        f"<tr><td>{row['seq']}</td><td>{escape(row['time'])}</td><td>{escape(row['what'])}</td>"
        f"<td>{escape(row['name'] or '')}</td><td>{escape(row['content'])}</td>"
        f"<td>{escape(row['details'])}</td></tr>"
        for row in facts["records"]
    )
    # In JSON, < stands inside texts only, so this changes nothing but keeps the element closed in.
    proof = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Receipt for {facts["resource"]}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Receipt</h1>
<p>For the resource <code>{facts["resource"]}</code> in the log <code>{escape(facts["log"])}</code>.</p>
<p class="verdict{"" if facts["erased"] else " open"}">{escape(facts["verdict"])}</p>
<table>
<caption>What happened to it, as far as this receipt proves it. Times are UTC.</caption>
<thead><tr><th scope="col">Record</th><th scope="col">Time</th><th scope="col">What (why)</th>
<th scope="col">Name</th><th scope="col">Content</th><th scope="col">Names</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
<h2>How to check it</h2>
<p>This page may say anything; the proof inside it cannot. With the log's public key, which you have from
elsewhere, run</p>
<pre>retain audit check-receipt THIS-FILE --key KEY</pre>
<p>on any machine, without a connection to the server. It checks that each record's header is in the signed
tree (RFC 9162, section 2.1.3), and that the erase records say what is shown above.</p>
<h2>The signed checkpoint</h2>
<p>The tree over {facts["size"]} records, as a signed note (C2SP tlog-checkpoint):</p>
<pre>{escape(str(value["checkpoint"]))}</pre>
<p>It claims to be signed by <code>{escape(str(value["key"]))}</code>. Compare that with the key you have.</p>
</main>
<script type="application/json" id="receipt">{proof}</script>
</body>
</html>
"""


def embedded(text: str) -> str:
    """The JSON of a receipt, from its page or as it is."""
    found = _EMBEDDED.search(text)
    return text if found is None else found[1]
