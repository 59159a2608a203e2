"""`/console/containers`: every tenant's containers, and a new one."""

from __future__ import annotations

from typing import Final

from quart import Response

from retain.api.config.checks import container_names
from retain.api.console.containers.addresses import CONTAINERS, container_address, tenant_address
from retain.api.console.containers.listed import listed
from retain.api.console.forms.containers import CreateForm, TenantForm
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.console.sessions import Notice
from retain.api.identity.roles import ADMINISTRATORS
from retain.api.refusals import status_of
from retain.engine import EngineError
from retain.engine.blobs.container_commands import CreateContainer


async def show(call: PageCall) -> Response:
    """Return the list, and the form for a new one."""
    return await _page(call, CreateForm(data={"tenant": call.args.get("tenant", "")}))


async def create(call: PageCall) -> Response:
    """Make a container."""
    form = CreateForm(await call.form())
    if not form.validate():
        return await _page(call, form, 400)
    tenant, name = form.tenant.data or "", form.container.data or ""
    if container_names((name,)) is not None:
        form.refuse("container", "A name has 3 to 63 lower-case letters, digits and single hyphens.")
        return await _page(call, form, 400)
    call.desk.administration.tenants.required(tenant)
    engine = call.desk.engine
    command = CreateContainer(actor=call.actor, account=tenant, container=name, resource=engine.entropy(16))
    try:
        await engine.submit(command)
    except EngineError as error:
        words = {
            "container-exists": f"{tenant} has a container of this name already.",
            "being-deleted": "A container of this name is being deleted. Try again in a minute.",
        }
        if error.reason not in words:
            raise
        form.refuse("container", words[error.reason])
        return await _page(call, form, status_of(error))
    return call.go(container_address(tenant, name), Notice(f"Created the container {name} of {tenant}."))


async def add_tenant(call: PageCall) -> Response:
    """Add a tenant with its usual containers, as `retain tenant add` does."""
    form = TenantForm(await call.form())
    if not form.validate():
        return await _page(call, CreateForm(), 400, form)
    name = form.name.data or ""
    try:
        await call.desk.administration.add_tenant(actor=call.actor, name=name)
    except EngineError as error:
        words = {
            "account-name": "A name has 3 to 24 lower-case letters and digits.",
            "tenant-exists": "A tenant of this name already exists.",
        }
        if error.reason not in words:
            raise
        form.refuse("name", words[error.reason])
        return await _page(call, CreateForm(), status_of(error), form)
    return call.go(tenant_address(name), Notice(f"Added the tenant {name}, with its containers."))


async def _page(
    call: PageCall, form: CreateForm, status: int = 200, tenant_form: TenantForm | None = None
) -> Response:
    tenants = call.desk.administration.tenants.names()
    prefix = call.args.get("prefix", "").strip()
    found = await listed(call.desk.engine, call.args.get("from", ""), lambda _: tenants, prefix)
    return call.page(
        "containers.html",
        status=status,
        here=CONTAINERS,
        form=form,
        tenant_form=tenant_form or TenantForm(),
        tenants=tenants,
        prefix=prefix,
        found=found,
        container_address=container_address,
    )


ROUTES: Final = (
    Route(path=CONTAINERS, view=show, roles=ADMINISTRATORS, nav=Nav("Containers", "box", "Data")),
    Route(path=CONTAINERS, view=create, methods=("POST",), roles=ADMINISTRATORS),
    Route(path="/console/tenants", view=add_tenant, methods=("POST",), roles=ADMINISTRATORS),
)
