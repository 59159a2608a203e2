"""Generate, list and revoke SAS tokens, for the console's page, its JSON route and the command line.

One action makes three tokens as the Genesys page *Generate SAS tokens* describes: one for the account with
only the right to find blobs by tags, and one each for the recordings and gim-export containers with read and
list, bound to a stored access policy with a fresh id. The policy holds start, expiry and permissions, so the
token holds none of them (docs/wire/blobs.md, section 2.3) and is invalid as soon as the policy is deleted. A
token is in the result and stored nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from retain.api.admin import CONTAINERS
from retain.api.admin.moments import written
from retain.api.blobs.sas.issue import issue_account_sas, issue_service_sas
from retain.engine import Engine, Invalid
from retain.engine.core.time import SECOND
from retain.engine.tokens import IssueTokens, RevokeTokens, TokenGrant, TokenRecord, list_tokens

ACCOUNT_PERMISSIONS: Final = "f"
CONTAINER_PERMISSIONS: Final = "rl"
SIGNING_KEY: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token as it is shown once.

    Attributes:
        record: Its stored record.
        url: The account's or container's URL, without the token.
        token: The query string that is the token, without a question mark. A secret.

    """

    record: TokenRecord
    url: str
    token: str

    def shown(self) -> dict[str, Any]:
        """Return it as JSON, the token included."""
        return {**shown(self.record, self.record.start), "url": self.url, "token": self.token}


async def generate_tokens(
    engine: Engine,
    keys: tuple[bytes, ...],
    *,
    account: str,
    url: str,
    start: int | None,
    expiry: int,
    revoke_existing: bool,
    actor: str,
    containers: Sequence[str] = CONTAINERS,
) -> tuple[IssuedToken, ...]:
    """Generate one token for the account and one for each container; all or nothing.

    Args:
        engine: Records the tokens.
        keys: The account's; the first one signs.
        account: The tenant's account.
        url: The account's URL, without a slash at its end.
        start: Start of validity, nanoseconds since the epoch; None for now.
        expiry: End of validity.
        revoke_existing: Revoke every earlier container token in the same command.
        actor: The caller.
        containers: The containers that get a token.

    Raises:
        NotFound: `container`.
        Conflict: `policy-limit`.
        Invalid: `token-times`.
    """
    if len(set(containers)) != len(containers):
        raise Invalid("a container must be named only once", reason="container")
    # A token's times are in whole seconds; the record has the same.
    begins = (engine.now() if start is None else start) // SECOND * SECOND
    ends = expiry // SECOND * SECOND
    grants = [TokenGrant(engine.entropy(16), None, ACCOUNT_PERMISSIONS, begins, ends, None, SIGNING_KEY)]
    for container in containers:
        policy = engine.entropy(16).hex()
        token_id = engine.entropy(16)
        grants.append(
            TokenGrant(token_id, container, CONTAINER_PERMISSIONS, begins, ends, policy, SIGNING_KEY)
        )
    records = await engine.submit(
        IssueTokens(actor=actor, account=account, grants=tuple(grants), revoke_existing=revoke_existing)
    )
    return tuple(_signed(record, keys[SIGNING_KEY - 1], url) for record in records)


def _signed(record: TokenRecord, key: bytes, url: str) -> IssuedToken:
    protocol = "https" if url.startswith("https:") else None
    if record.container is None:
        token = issue_account_sas(
            key,
            account=record.account,
            permissions=record.permissions,
            start=record.start,
            expiry=record.expiry,
            protocol=protocol,
        )
        return IssuedToken(record=record, url=f"{url}/", token=token)
    token = issue_service_sas(
        key,
        account=record.account,
        container=record.container,
        policy=record.policy_id,
        protocol=protocol,
    )
    return IssuedToken(record=record, url=f"{url}/{record.container}", token=token)


async def tokens_of(engine: Engine, account: str) -> list[dict[str, Any]]:
    """Return the account's tokens that have not expired, as JSON, without the tokens themselves."""

    def query(state: Any, now: int) -> list[dict[str, Any]]:
        return [shown(record, now) for record in list_tokens(state.tokens, account, now)]

    return await engine.read(query)


async def revoke_tokens(
    engine: Engine, account: str, token_ids: Sequence[str] | None, actor: str
) -> list[dict[str, Any]]:
    """Revoke container tokens, all of them if `token_ids` is None; return the revoked ones.

    Raises:
        NotFound: `token`.
        Conflict: `not-revocable`: an account token ends with its expiry or its key.
        Invalid: `token`: not a token's id.
    """
    try:
        named = None if token_ids is None else tuple(bytes.fromhex(token_id) for token_id in token_ids)
    except ValueError:
        raise Invalid("the id of a token must be 32 hexadecimal digits", reason="token") from None
    records = await engine.submit(RevokeTokens(actor=actor, account=account, token_ids=named))
    return [shown(record, engine.now()) for record in records]


def shown(record: TokenRecord, now: int) -> dict[str, Any]:
    """Return a token's record as JSON."""
    state = "revoked" if record.revoked is not None else "valid" if record.start <= now else "not yet valid"
    return {
        "id": record.token_id.hex(),
        "container": record.container,
        "permissions": record.permissions,
        "policy_id": record.policy_id,
        "start": written(record.start),
        "expiry": written(record.expiry),
        "issued": written(record.issued),
        "issuer": record.issuer,
        "state": state,
    }
