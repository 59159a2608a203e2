"""`/console/tokens`: the page *Generate SAS Tokens*, using the same actions as `retain token`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import trio
from quart import Response
from quart import request as quart_request

from retain.api.admin import CONTAINERS
from retain.api.admin.moments import zone_of
from retain.api.admin.zones import label_of, zone_groups
from retain.api.console.forms.tokens import GenerateForm
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.console.sessions import Notice
from retain.api.html.filters import counted, in_zone, moment_of
from retain.api.identity.roles import ADMINISTRATORS
from retain.api.refusals import status_of
from retain.engine import EngineError, NotFound

TOKENS: Final = "/console/tokens"
GENERATED: Final = "/console/tokens/generated/<made>"
REVOKE_ALL: Final = "/console/tokens/revoke-all"
DAYS: Final = 14
"""Days of the proposed validity."""
FEW: Final = 20
"""Containers of a tenant up to which the form does not ask for which of them tokens are made."""
MOST: Final = 200
"""Most containers that get tokens at once; their URLs are on one page."""
MAY: Final = {
    "f": "find by tags",
    "r": "read",
    "l": "list",
    "a": "add",
    "c": "create",
    "w": "write",
    "d": "delete",
}

#: Where a refusal of the action belongs: reason, field, words if the engine's are not the page's.
_BESIDE: Final[Mapping[str, tuple[str, str]]] = {
    "tenant": ("tenant", "There is no such tenant."),
    "timezone": ("timezone", "The server does not know this time zone."),
    "date": ("expiry", "This day does not exist, or is after the year 2500."),
    "token-times": ("expiry", "The expiration must be in the future, and after the initiation."),
    "policy-limit": (
        "revoke",
        "A container already has 5 valid tokens, the limit. Revoke one below, or tick this.",
    ),
}


@dataclass(frozen=True, slots=True)
class Generated:
    """The tokens of one generation, shown once from the session's memory."""

    tenant: str
    tokens: Sequence[Mapping[str, Any]]
    revoked: int
    zone: str


async def show(call: PageCall) -> Response:
    """Return the form, and the tokens that were issued."""
    tenants = call.desk.administration.tenants.names()
    wanted = call.args.get("tenant", "")
    if wanted and wanted not in tenants:
        raise NotFound(f"the tenant {wanted} does not exist", reason="tenant")
    return await _page(call, _blank(call, wanted or next(iter(tenants), "")), wanted)


async def generate(call: PageCall) -> Response:
    """Create the tokens, and redirect to the only page that shows them."""
    form = GenerateForm(await call.form())
    tenant = form.tenant.data or ""
    if not form.validate():
        return await _page(call, form, tenant, 400)
    try:
        before = await _revocable(call, tenant)
        containers = await _chosen(call, form, tenant)
        if containers is None:
            return await _page(call, form, tenant, 400)
        made = await call.desk.administration.create_tokens(
            actor=call.actor,
            tenant=tenant,
            start=form.start.data,
            expiry=form.ends(),
            timezone=form.timezone.data or "",
            revoke_existing=bool(form.revoke.data),
            containers=containers,
            base=call.base,
        )
    except EngineError as error:
        if error.reason not in _BESIDE:
            raise
        form.refuse(*_BESIDE[error.reason])
        return await _page(call, form, tenant, status_of(error))
    revoked = before if form.revoke.data else 0
    assert call.session is not None
    key = call.session.keep(
        Generated(tenant, made, revoked, form.timezone.data or ""), call.desk.engine.entropy
    )
    return call.go(GENERATED.replace("<made>", key))


async def _chosen(call: PageCall, form: GenerateForm, tenant: str) -> list[str] | None:
    """Return the containers that get a token; None, with a message beside the field, if they are too many."""
    found, named = await _containers(call, tenant), form.named()
    if unknown := sorted(set(named).difference(found)):
        form.refuse("containers", f"{tenant} has no container {unknown[0]}.")
        return None
    chosen = [name for name in found if name in set(named)] if named else found
    if len(chosen) > MOST:
        form.refuse(
            "containers",
            f"These are {len(chosen):,} containers. Name those that get a token, at most {MOST} at once.",
        )
        return None
    return chosen


async def generated(call: PageCall, made: str) -> Response:
    """Return the page with the tokens, once; a second request gets the form."""
    assert call.session is not None
    found = call.session.take(made) if quart_request.method == "GET" else None
    if not isinstance(found, Generated):
        return call.go(TOKENS)
    first = moment_of(call.now).astimezone(call.zone).replace(day=1)
    return call.page(
        "tokens-generated.html",
        here=TOKENS,
        made=found,
        shown=[_url(token, f"{first:%Y-%m-%d}", found) for token in found.tokens],
        starts=in_zone(found.tokens[0]["start"], zone_of(found.zone), "plain"),
        ends=in_zone(found.tokens[0]["expiry"], zone_of(found.zone), "plain"),
        label=_label(found.zone, call),
        **await _issued(call, found.tenant),
    )


async def revoke(call: PageCall) -> Response:
    """End one container token."""
    sent = await call.form()
    tenant = sent.get("tenant", "")
    ended = await call.desk.administration.revoke_tokens(
        actor=call.actor, tenant=tenant, ids=[sent.get("id", "")]
    )
    scopes = ", ".join(str(token["container"]) for token in ended)
    text = (
        f"Revoked the token for {scopes}: its next request is refused." if ended else "It had ended already."
    )
    return call.go(f"{TOKENS}?tenant={tenant}", Notice(text, "hidden"))


async def ask_revoke_all(call: PageCall) -> Response:
    """Return the page that asks for confirmation."""
    tenant = call.args.get("tenant", "")
    return call.page("tokens-revoke.html", here=TOKENS, **await _issued(call, tenant))


async def revoke_all(call: PageCall) -> Response:
    """End all container tokens of a tenant."""
    tenant = (await call.form()).get("tenant", "")
    ended = await call.desk.administration.revoke_tokens(actor=call.actor, tenant=tenant)
    text = f"Revoked {counted(len(ended), 'container token')} of {tenant}: their next requests are refused."
    return call.go(f"{TOKENS}?tenant={tenant}", Notice(text, "hidden"))


def _blank(call: PageCall, tenant: str) -> GenerateForm:
    today = moment_of(call.now).astimezone(call.zone).date()
    return GenerateForm(
        data={
            "tenant": tenant,
            "start": today.isoformat(),
            "expiry": (today + timedelta(days=DAYS)).isoformat(),
            "expiry_time": "00:00",
            "timezone": _name(call.zone),
        }
    )


def _name(zone: tzinfo) -> str:
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


def _label(name: str, call: PageCall) -> str:
    """Return a zone's label in the form; an offset, which scripts may send, is its own label."""
    try:
        return label_of(name, moment_of(call.now).year)
    except (KeyError, ValueError, OSError):  # the error of zoneinfo for an unknown name
        return name


async def _page(call: PageCall, form: GenerateForm, tenant: str, status: int = 200) -> Response:
    tenants = call.desk.administration.tenants.names()
    shown = tenant if tenant in tenants else next(iter(tenants), "")
    year = moment_of(call.now).year
    yours = form.timezone.data or "UTC"
    count = await call.desk.engine.read(lambda state, _: len(state.blobs.accounts.get(shown, ())))
    return call.page(
        "tokens.html",
        status=status,
        here=TOKENS,
        form=form,
        tenants=tenants,
        chooses=count > FEW or bool(form.named()),
        count=count,
        most=MOST,
        groups=await trio.to_thread.run_sync(zone_groups, year),
        yours=(yours, _label(yours, call)),
        **(await _issued(call, shown) if shown else {"tenant": "", "issued": []}),
    )


async def _issued(call: PageCall, tenant: str) -> dict[str, Any]:
    """Return the rows of the list of issued tokens."""
    found = await call.desk.administration.list_tokens(actor=call.actor, tenant=tenant)
    issued = [
        {
            **token,
            "scope": token["container"] or "account",
            "may": ", ".join(MAY.get(letter, letter) for letter in token["permissions"]),
            "issuer": str(token["issuer"]).removeprefix("user:"),
            "revocable": token["container"] is not None and token["state"] != "revoked",
        }
        for token in found
    ]
    issued.sort(key=lambda token: (token["state"] == "revoked", token["expiry"]))
    return {"tenant": tenant, "issued": issued}


async def _revocable(call: PageCall, tenant: str) -> int:
    return sum(token["revocable"] for token in (await _issued(call, tenant))["issued"])


async def _containers(call: PageCall, tenant: str) -> list[str]:
    """Return the tenant's containers, the two of the Genesys page first."""
    shown = await call.desk.administration.show_tenant(actor=call.actor, name=tenant)
    names = [str(container["name"]) for container in shown["containers"]]
    return sorted(
        (name for name in names if not name.startswith("$")),
        key=lambda name: (CONTAINERS.index(name) if name in CONTAINERS else len(CONTAINERS), name),
    )


_ABOUT: Final = {
    None: "Finds blobs by their tags, across containers. It cannot list, download or be revoked.",
    "recordings": "Lists and reads call and screen recordings.",
    "gim-export": "Lists and reads interaction and party history, the metadata of the recordings.",
}


def _url(token: Mapping[str, Any], since: str, made: Generated) -> dict[str, Any]:
    """Return one URL with its token and the lines that use it."""
    container, url, query = token["container"], token["url"], token["token"]
    if container is None:
        # Any container serves as an example; `where` finds across all of them.
        where = f"RecordingType='CALL' AND StoredTime>='{since}'"
        find = f'curl -G "{url}?{query}" -d comp=blobs --data-urlencode "where={where}"'
        lines = [(f"Find the calls stored since {since}", find)]
    else:
        lines = [
            ("List what is there", f'curl "{url}?{query}&restype=container&comp=list"'),
            (
                "Download one: put a name from the list in place of NAME",
                f'curl "{url}/NAME?{query}" --output NAME',
            ),
        ]
    return {
        "label": f"{(container or 'account').upper()} CONTAINER URL",
        "url": f"{url}?{query}",
        "about": _ABOUT.get(container, f"Lists and reads {container}."),
        "lines": [*lines, ("The token alone", query)],
    }


ROUTES: Final = (
    Route(path=TOKENS, view=show, roles=ADMINISTRATORS, nav=Nav("SAS tokens", "key", "Access")),
    Route(path=TOKENS, view=generate, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=GENERATED, view=generated, roles=ADMINISTRATORS),
    Route(path="/console/tokens/revoke", view=revoke, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=REVOKE_ALL, view=ask_revoke_all, roles=ADMINISTRATORS),
    Route(path=REVOKE_ALL, view=revoke_all, methods=("POST",), roles=ADMINISTRATORS),
)
