"""The addresses of containers, folders and blobs in the console.

A blob's name is in the query: as part of a path, browsers and proxies would fold `..` and `//` in it.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

CONTAINERS: Final = "/console/containers"


def container_address(tenant: str, container: str, part: str = "", **query: str) -> str:
    """Return the path of a container's page, or of one of its parts, with the non-empty parts of `query`."""
    path = f"{CONTAINERS}/{quote(tenant, safe='')}/{quote(container, safe='')}"
    filled = {name: value for name, value in query.items() if value}
    return f"{path}{f'/{part}' if part else ''}{f'?{urlencode(filled, quote_via=quote)}' if filled else ''}"


def tenant_address(tenant: str) -> str:
    """Return the path of the list of containers from a tenant's first one on."""
    return f"{CONTAINERS}?from={quote(tenant, safe='')}#{quote(tenant, safe='')}"


def blob_address(tenant: str, container: str, name: str, part: str = "", **query: str) -> str:
    """Return the path of a blob's page, or of one of its parts."""
    return container_address(tenant, container, f"blob/{part}" if part else "blob", name=name, **query)


def folder_of(name: str) -> str:
    """Return the folder that a blob's name is in, with its slash; empty at the top."""
    head, slash, _ = name.rpartition("/")
    return f"{head}{slash}"


def steps(tenant: str, container: str, prefix: str) -> list[tuple[str, str]]:
    """Return the folders on the way to `prefix`, each with its address; the container comes first."""
    found = [(container, container_address(tenant, container))]
    at = 0
    while (slash := prefix.find("/", at)) >= 0:
        found.append((prefix[at:slash], container_address(tenant, container, prefix=prefix[: slash + 1])))
        at = slash + 1
    return found
