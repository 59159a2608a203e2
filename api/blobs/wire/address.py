"""The names in a URL: account, container, blob, in both URL styles (docs/wire/blobs.md, section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

ROOT: Final = "$root"
"""The container of blobs directly below the account."""

SECONDARY: Final = "-secondary"
"""Follows the account in the name of its secondary location."""

_CONTAINER_TYPES: Final = frozenset({"container", "account"})


class Address(NamedTuple):
    """Decoded names; container and blob are None at the account's root, blob at a container.

    `path_style`: the account is in the path, not in the host name. `secondary`: the URL names the account's
    secondary location, which is this server itself and answers reads only.
    """

    account: str
    container: str | None
    blob: str | None
    path_style: bool
    secondary: bool = False


def host_account(host: str, suffixes: Sequence[str]) -> str | None:
    """Return the label in front of a configured host suffix, see `split_location`; None if there is none.

    `host` is without its port.
    """
    lowered = host.lower()
    for suffix in suffixes:
        if lowered.endswith(suffix) and len(lowered) > len(suffix):
            return lowered[: -len(suffix)].rstrip(".").partition(".")[0]
    return None


def split_location(label: str) -> tuple[str, bool]:
    """Return the account that a URL's label names, and whether it names its secondary location.

    No account has a hyphen in its name.
    """
    return label.removesuffix(SECONDARY), label.endswith(SECONDARY)


def parse_in_batch(segments: Sequence[str], batch: Address, restype: str | None, comp: str | None) -> Address:
    """Read the path of a request inside a batch, which is one on the batch's account.

    Python's client leaves the account out of these paths unless the host is this machine.
    """
    is_named = batch.path_style and segments[0] == batch.account
    return parse_address(segments, None if is_named else batch.account, restype, comp)


def parse_address(
    segments: Sequence[str], account: str | None, restype: str | None, comp: str | None
) -> Address:
    """Read the decoded segments of a path; `account` is the label the host names, None in path style.

    A single name below the account is a container only if `restype` says so, else a blob in `$root`; the
    one leniency is `comp=blobs`, a search on a container's URL. A backslash is a slash, as at Azure, escaped
    or not: signatures of tokens are made over the name with slashes.
    """
    path_style = account is None
    below = segments[1:] if path_style else segments
    rest = list(below)
    if any("\\" in segment for segment in below):
        rest = [piece for segment in below for piece in segment.split("\\")]
    name, secondary = split_location(segments[0] if account is None else account)
    if not rest or rest == [""]:
        return Address(name, None, None, path_style, secondary)
    container, blob = rest[0], "/".join(rest[1:])
    if blob:
        return Address(name, container, blob, path_style, secondary)
    if restype in _CONTAINER_TYPES or comp == "blobs":
        return Address(name, container, None, path_style, secondary)
    return Address(name, ROOT, container, path_style, secondary)
