"""`…/holds`: the legal holds on a container and on its tenant: shown, set and lifted."""

from __future__ import annotations

from typing import Final

from quart import Response

from retain.api.admin.rights import Rights, packed
from retain.api.console.containers.addresses import CONTAINERS, container_address, steps
from retain.api.console.forms.containers import ReasonForm
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Route
from retain.api.console.sessions import Notice
from retain.api.identity.roles import ADMINISTRATORS
from retain.api.refusals import status_of
from retain.engine import EngineError, NotFound
from retain.engine.blobs.queries import totals_of
from retain.engine.holds import Hold, HoldKind, HoldTarget

NO_NUMBER: Final = bytes(16)
"""Instead of the number of a named target."""
HOLDS: Final = f"{CONTAINERS}/<tenant>/<container>/holds"


async def show(call: PageCall, tenant: str, container: str) -> Response:
    """Return the holds, and the form for another."""
    return await _page(call, tenant, container, ReasonForm())


async def hold(call: PageCall, tenant: str, container: str) -> Response:
    """Set a hold on the container, or on all of the tenant's containers."""
    call.desk.administration.tenants.required(tenant)
    sent = await call.form()
    form, whole = ReasonForm(sent), sent.get("what") == "tenant"
    if not form.validate():
        return await _page(call, tenant, container, form, 400, whole=whole)
    target = _tenant(tenant) if whole else _container(tenant, container)
    try:
        await Rights(call.desk.engine).add_hold(
            actor=call.actor, target=packed(target), reason=form.reason.data or ""
        )
    except EngineError as error:
        if error.reason != "reason":
            raise
        form.refuse("reason", f"{error.message[:1].upper()}{error.message[1:]}.")
        return await _page(call, tenant, container, form, status_of(error), whole=whole)
    held = f"all containers of {tenant}" if whole else container
    return call.go(
        container_address(tenant, container, "holds"),
        Notice(f"Set a hold on {held}, also for what is stored there later.", "held"),
    )


async def lift(call: PageCall, tenant: str, container: str) -> Response:
    """Lift one of the holds that the page shows."""
    wanted = (await call.form()).get("hold", "")
    shown = await _holds(call, tenant, container)
    if wanted not in {one.hold_id.hex() for one in shown}:
        raise NotFound("this hold is already lifted, or belongs to another resource", reason="hold")
    lifted = await Rights(call.desk.engine).lift_hold(actor=call.actor, hold=wanted)
    text = f"Lifted the hold on {lifted['subject']}. Data that became due meanwhile is erased now."
    return call.go(container_address(tenant, container, "holds"), Notice(text))


def _container(tenant: str, container: str) -> HoldTarget:
    return HoldTarget(HoldKind.CONTAINER, NO_NUMBER, (tenant, container))


def _tenant(tenant: str) -> HoldTarget:
    return HoldTarget(HoldKind.TENANT, NO_NUMBER, (tenant,))


async def _holds(call: PageCall, tenant: str, container: str) -> list[Hold]:
    """Return the holds on the container and on the tenant, the oldest first."""
    wanted = {
        (HoldKind.CONTAINER, _container(tenant, container).names),
        (HoldKind.TENANT, _tenant(tenant).names),
    }
    found = await call.desk.engine.read(
        lambda state, _: [
            one for one in state.holds.holds.values() if (one.target.kind, one.target.names) in wanted
        ]
    )
    return sorted(found, key=lambda one: (one.time, one.hold_id))


async def _page(
    call: PageCall, tenant: str, container: str, form: ReasonForm, status: int = 200, *, whole: bool = False
) -> Response:
    call.desk.administration.tenants.required(tenant)
    found = await call.desk.engine.read(lambda state, _: totals_of(state.blobs, tenant, container))
    return call.page(
        "container-holds.html",
        status=status,
        here=CONTAINERS,
        tenant=tenant,
        container=container,
        steps=steps(tenant, container, ""),
        address=container_address,
        found=found,
        holds=await _holds(call, tenant, container),
        form=form,
        whole=whole,
    )


ROUTES: Final = (
    Route(path=HOLDS, view=show, roles=ADMINISTRATORS),
    Route(path=HOLDS, view=hold, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=f"{HOLDS}/lift", view=lift, methods=("POST",), roles=ADMINISTRATORS),
)
