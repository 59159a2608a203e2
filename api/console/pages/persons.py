"""`/console/persons`: find what is kept about a person, then export, hold or erase it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final

import trio
from quart import Response

from retain.api.admin.exports import zipped
from retain.api.admin.rights import MOST_TARGETS, Rights, packed
from retain.api.console.evidence import Work
from retain.api.console.evidence.secrets import area_name, guarded
from retain.api.console.forms.persons import HoldForm, PersonForm
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.console.sessions import Notice
from retain.api.html.filters import counted
from retain.api.html.rendering import HEADERS
from retain.api.identity.roles import ADMINISTRATORS, PERSONS, Role
from retain.engine import Conflict, Forbidden, Invalid, NotFound
from retain.engine.audit.dossier import Dossier
from retain.engine.audit.log import Filter, Progress
from retain.engine.audit.timeline import PAGE_SECONDS, Trail, page
from retain.engine.core.time import DAY
from retain.engine.holds import HoldKind
from retain.engine.persons.end import HELD, LIVING
from retain.engine.persons.find import Selection, Subject, recorded

PAGE: Final = "/console/persons"
EXPORTERS: Final = ADMINISTRATORS
"""Who may export: an export is made of values."""
_DELETED: Final = {"areas": "deleted area", "settings": "deleted document", "blobs": "deleted blob"}
ROWS: Final = 500
"""Resources that the page lists; all of them are counted, exported, held and erased."""


@dataclass(frozen=True, slots=True)
class FoundResource:
    """A resource that was found for a person.

    Attributes:
        subject: The resource.
        status: Its present state.
        holds: The legal holds on it, as `Rights.erase` returns them.
    """

    subject: Subject
    status: str
    holds: Sequence[Mapping[str, str]]

    @property
    def goes(self) -> bool:
        """Whether there is content that an erasure would end."""
        return self.status == LIVING or (self.status != HELD and self.subject.kept > 0)

    @property
    def only_named(self) -> bool:
        """Whether nothing but the names in the audit log is left."""
        return self.status != HELD and not self.goes


@dataclass(frozen=True, slots=True)
class Export:
    """An export that waits to be downloaded."""

    dossier: Dossier
    actions: Sequence[dict[str, Any]]


async def show(call: PageCall) -> Response:
    """Return the form, the session's last results, and the holds in force."""
    return await _page(call, None, HoldForm())


async def find(call: PageCall) -> Response:
    """Begin to search the journal."""
    form = PersonForm(await call.form())
    asked = form.asked(guarded(call.role))
    if asked is None:
        return await _page(call, form, HoldForm(), 400)
    disk = call.desk.engine.disk
    phases = ("Searching the journal", "Counting what was found")
    _start(call, "find", lambda progress: recorded(disk, asked, progress), phases, (asked, form.data))
    call.desk.evidence.bench.forget("export")
    return call.go(f"{PAGE}#found")


async def export(call: PageCall) -> Response:
    """Begin to prepare the export of what was found."""
    work = await _asked_work(call)
    asked: Selection = work.asked[0]
    engine = call.desk.engine

    def made(progress: Progress) -> Export:
        dossier = Dossier(engine.disk, asked, call.now, progress)
        return Export(dossier, list(dossier.actions(progress)))

    _start(
        call, "export", made, ("Replaying the events", "Searching the journal", "Reading the log"), work.asked
    )
    return call.go(f"{PAGE}#found")


async def download(call: PageCall) -> Response:
    """Return the export as a zip, once; it is created while it is sent."""
    work = _own(call, "export")
    if work is None or not isinstance(work.result, Export):
        raise NotFound("there is no export to download; make one", reason="export")
    numbers = [one.target.resource for one in work.result.dossier.subjects]
    await Rights(call.desk.engine).record_export(actor=call.actor, numbers=numbers)
    call.desk.evidence.bench.forget("export")
    asked = {name: value for name, value in work.asked[1].items() if value}
    pieces = zipped(work.result.dossier, work.result.actions, work.started, asked)

    async def sent() -> AsyncIterator[bytes]:
        while (piece := await trio.to_thread.run_sync(next, pieces, None)) is not None:
            if piece:
                yield piece

    response = Response(sent(), content_type="application/zip")
    for name, value in {**HEADERS, "Content-Disposition": 'attachment; filename="export.zip"'}.items():
        response.headers[name] = value
    response.timeout = None
    return response


async def erase(call: PageCall) -> Response:
    """Erase what was found and shown, if the confirmation was typed."""
    work = await _asked_work(call)
    sent = await call.form()
    resources = await _found_resources(call, work)
    names, now = sent.get("names") == "yes", sent.get("when") != "later"
    going = erasable(resources)
    if sent.get("sure", "").strip() != confirmation(len(going)) or not going or not (going[0].goes or names):
        text = "Nothing was erased: type the words that the form shows. The number may have changed since."
        return call.go(f"{PAGE}#erase", Notice(text, "due"))
    rights = Rights(call.desk.engine)
    parts, held = 0, 0
    for start in range(0, len(resources), MOST_TARGETS):
        targets = [packed(one.subject.target) for one in resources[start : start + MOST_TARGETS]]
        more = start + MOST_TARGETS < len(resources)
        done = await rights.erase(actor=call.actor, targets=targets, now=now, names=names, more=more)
        parts += done["erased_parts"]
        held += sum(one["status"] == HELD for one in done["results"])
    call.desk.evidence.bench.forget("find")
    call.desk.evidence.bench.forget("export")
    text = f"{counted(len(going), 'resource')} ended. "
    if not going[0].goes:
        text = (
            f"The names of {counted(len(going), 'resource')} are erased: {counted(parts, 'part')} of records."
        )
    elif now or names:
        text += f"{counted(parts, 'part')} of records erased from every file of this server."
    else:
        hours = call.desk.config.retention.erase_within_hours
        text += f"They are hidden from clients, and erased within {hours:g} hours."
    text += " The audit has the proof of each: open it there, and download its receipt."
    if held:
        text += f" {counted(held, 'resource')} under a legal hold remained."
    return call.go(PAGE, Notice(text, "erased"))


async def hold(call: PageCall) -> Response:
    """Hold everything that was found."""
    work = await _asked_work(call)
    form = HoldForm(await call.form())
    if not form.validate():
        return await _page(call, None, form, 400)
    rights = Rights(call.desk.engine)
    done = 0
    try:
        for one in work.result:
            await rights.add_hold(actor=call.actor, target=packed(one.target), reason=form.reason.data or "")
            done += 1
    except (Invalid, NotFound) as error:
        left = len(work.result) - done
        text = f"{counted(done, 'hold')} set, {left:,} not: {error.message}."
        return call.go(f"{PAGE}#holds", Notice(text, "due"))
    return call.go(
        f"{PAGE}#holds",
        Notice(f"{counted(done, 'hold')} set. Nothing is erased until they are lifted.", "held"),
    )


async def lift(call: PageCall) -> Response:
    """Lift one hold."""
    rights, wanted = Rights(call.desk.engine), (await call.form()).get("hold", "")
    kinds = {hold["hold"]: hold["kind"] for hold in await rights.list_holds(actor=call.actor)}
    if wanted in kinds and not may_lift(call.role, kinds[wanted]):
        raise Forbidden(f"only an administrator may lift a hold on a whole {kinds[wanted]}", reason="hold")
    lifted = await rights.lift_hold(actor=call.actor, hold=wanted)
    evidence = call.desk.evidence
    subject = named(call.role, await evidence.read(what_was_deleted, evidence.trail, [lifted]), lifted)
    text = f"Lifted the hold on {subject}. Data that became due meanwhile is erased now."
    return call.go(f"{PAGE}#holds", Notice(text, "live"))


def may_lift(role: Role | None, kind: str) -> bool:
    """Return whether this role may lift holds on what is of that kind: who may set one may lift it.

    Holds on whole containers and tenants are set by administrators only.
    """
    return role in ADMINISTRATORS or kind not in (HoldKind.CONTAINER, HoldKind.TENANT)


def named(role: Role | None, deleted: Mapping[str, str], target: Mapping[str, str]) -> str:
    """Return the name of a target, in the form of `packed`, as this role may see it.

    `deleted`: by number, the words for what has no name, as `what_was_deleted` returns them.
    """
    if target["kind"] == HoldKind.RESOURCE:
        return deleted.get(target["resource"], target["subject"])
    if target["kind"] != HoldKind.AREA:
        return target["subject"]
    return area_name(role, target["subject"], target["resource"])


def what_was_deleted(
    trail: Trail, holds: Sequence[Mapping[str, str]], clock: Callable[[], float] = perf_counter
) -> dict[str, str]:
    """Return the words for held resources that have no name any more, by number. Blocking.

    Each is looked up in the journal. After `PAGE_SECONDS` the rest is left out; it is shown by its number.
    """
    words: dict[str, str] = {}
    until = clock() + PAGE_SECONDS
    for hold in holds:
        if hold["kind"] == HoldKind.RESOURCE and clock() < until:
            number = hold["resource"]
            last = page(trail, Filter(number=number), rows=1).entries
            kind = _DELETED.get(last[0].interface) if last else None
            if kind is not None:
                words[number] = f"{kind}, last record {last[0].seq:,}"
    return words


def erasable(resources: Sequence[FoundResource]) -> list[FoundResource]:
    """Return what an erasure would end; if there is nothing, what only has names left."""
    return [one for one in resources if one.goes] or [one for one in resources if one.only_named]


def confirmation(count: int) -> str:
    """Return the text that confirms the erasure of this number of resources."""
    return f"erase {count} {'resource' if count == 1 else 'resources'}"


def _start(call: PageCall, kind: str, function: Any, phases: Sequence[str], asked: Any) -> None:
    assert call.session is not None
    call.desk.evidence.bench.start(
        kind, function, by=call.caller.name, session=call.session.id, phases=phases, asked=asked
    )


def _own(call: PageCall, kind: str) -> Work | None:
    """Return the session's last work of a kind; that of others is not shown."""
    work = call.desk.evidence.bench.last(kind)
    return work if work is not None and call.session is not None and work.session == call.session.id else None


async def _asked_work(call: PageCall) -> Work:
    """Return the search that a form belongs to.

    Raises:
        Conflict: It is no longer this session's last one.
    """
    work = _own(call, "find")
    if work is None or work.result is None or work.id != (await call.form()).get("found"):
        raise Conflict("this was found by an earlier search; search again", reason="found")
    return work


async def _found_resources(call: PageCall, work: Work) -> list[FoundResource]:
    found: Sequence[Subject] = work.result
    rights = Rights(call.desk.engine)
    resources: list[FoundResource] = []
    for start in range(0, len(found), MOST_TARGETS):
        some = found[start : start + MOST_TARGETS]
        targets = [packed(one.target) for one in some]
        planned = await rights.erase(actor=call.actor, targets=targets, dry_run=True)
        resources += [
            FoundResource(one, row["status"], row["holds"])
            for one, row in zip(some, planned["results"], strict=True)
        ]
    return resources


async def _page(call: PageCall, form: PersonForm | None, why: HoldForm, status: int = 200) -> Response:
    work = _own(call, "find")
    resources = [] if work is None or work.result is None else await _found_resources(call, work)
    if form is None:
        form = PersonForm(data=None if work is None else work.asked[1])
    going = erasable(resources)
    holds = await Rights(call.desk.engine).list_holds(actor=call.actor)
    evidence, shown = call.desk.evidence, holds[-ROWS:][::-1]
    return call.page(
        "persons.html",
        status=status,
        here=PAGE,
        form=form,
        why=why,
        work=work,
        export=_own(call, "export"),
        running=call.desk.evidence.bench.now,
        resources=resources,
        rows=ROWS,
        may_lift=partial(may_lift, call.role),
        named=partial(named, call.role, await evidence.read(what_was_deleted, evidence.trail, shown)),
        packed=packed,
        may_export=call.role in EXPORTERS,
        going=going,
        only_names=bool(going) and not going[0].goes,
        bare=sum(one.only_named for one in resources),
        staying=sum(one.status == HELD for one in resources),
        size=sum(one.subject.size for one in resources),
        going_size=sum(one.subject.size for one in going),
        living=LIVING,
        held=HELD,
        sure=confirmation(len(going)),
        holds=shown,
        hold_count=len(holds),
        audit=call.desk.config.retention.audit_days * DAY,
        hours=call.desk.config.retention.erase_within_hours,
    )


ROUTES: Final = (
    Route(path=PAGE, view=show, roles=PERSONS, nav=Nav("Persons’ rights", "person", "Evidence")),
    Route(path=f"{PAGE}/find", view=find, methods=("POST",), roles=PERSONS),
    Route(path=f"{PAGE}/export", view=export, methods=("POST",), roles=EXPORTERS),
    Route(path=f"{PAGE}/export.zip", view=download, roles=EXPORTERS),
    Route(path=f"{PAGE}/erase", view=erase, methods=("POST",), roles=PERSONS),
    Route(path=f"{PAGE}/hold", view=hold, methods=("POST",), roles=PERSONS),
    Route(path=f"{PAGE}/lift", view=lift, methods=("POST",), roles=PERSONS),
)
