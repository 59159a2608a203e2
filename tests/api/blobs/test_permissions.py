"""The matrix of section 3.1: every operation under every letter of every kind of token, each with its
verdict.

The expectation is written down here once more, in the shape of docs/wire/blobs.md, section 3.1, and not read
from the code's table.
"""

from __future__ import annotations

import pytest

from retain.api.blobs.sas import verify as sas
from retain.api.blobs.sas.fields import ACCOUNT_LETTERS, SERVICE_LETTERS
from retain.api.blobs.sas.permissions import RULES, Operation, authorize
from retain.api.blobs.wire.errors import AzureError

# operation | service SAS for the container | service SAS for the blob | account SAS: srt, sp  (- is never)
EXPECTED = """
List Containers                 | -   | -   | s   l
Get Blob Service Properties     | -   | -   | s   r
Set Blob Service Properties     | -   | -   | s   w
Get Account Information         | r   | r   | sco rwdlcup
Find Blobs by Tags              | -   | -   | o   f
Blob Batch                      | racwdxyl | - | sco rwdxylacup
Create Container                | -   | -   | c   cw
Get Container Properties        | -   | -   | c   r
Set Container Metadata          | -   | -   | c   w
Get Container ACL               | -   | -   | -   -
Set Container ACL               | -   | -   | -   -
Delete Container                | -   | -   | c   d
Lease Container                 | -   | -   | c   w
Lease Container (break)         | -   | -   | c   wd
List Blobs                      | l   | -   | c   l
Find Blobs by Tags in Container | f   | -   | co  f
Put Blob                        | cw  | cw  | o   cw
Put Blob from URL               | cw  | cw  | o   cw
Put Block                       | w   | w   | o   w
Put Block from URL              | w   | w   | o   w
Put Block List                  | w   | w   | o   w
Get Block List                  | r   | r   | o   r
Get Blob                        | r   | r   | o   r
Get Blob Properties             | r   | r   | o   r
Get Blob Metadata               | r   | r   | o   r
Set Blob Properties             | w   | w   | o   w
Set Blob Metadata               | w   | w   | o   w
Set Blob Tier                   | w   | w   | o   w
Get Blob Tags                   | t   | t   | o   t
Set Blob Tags                   | t   | t   | o   t
Copy Blob                       | cw  | cw  | o   cw
Abort Copy Blob                 | w   | w   | o   w
Delete Blob                     | d   | d   | o   d
Lease Blob                      | w   | w   | o   w
Lease Blob (break)              | wd  | wd  | o   wd
"""

TABLE = {}
for line in EXPECTED.strip().splitlines():
    name, container, blob, account = (part.strip() for part in line.split("|"))
    types, letters = account.split()
    TABLE[Operation(name)] = {"container": container, "blob": blob, "types": types, "account": letters}

CREATING = {Operation.PUT_BLOB, Operation.PUT_BLOB_FROM_URL, Operation.COPY_BLOB}


def service(kind, letters):
    return sas.Grant(kind, frozenset(letters))


def account(letters, types="sco", services="b"):
    return sas.Grant(sas.GrantKind.ACCOUNT, frozenset(letters), frozenset(services), frozenset(types))


def verdict(grant, operation, **more):
    try:
        return authorize(grant, operation, **more)
    except AzureError as error:
        return error.code if error.status == 403 else error.status


def cells():
    for operation, row in TABLE.items():
        overwrites = operation not in CREATING
        for column, kind in (("container", sas.GrantKind.CONTAINER), ("blob", sas.GrantKind.BLOB)):
            for letter in sorted(SERVICE_LETTERS):
                if row[column] == "-":
                    expected = "AuthorizationFailure"
                elif letter in row[column]:
                    expected = overwrites or letter == "w"
                else:
                    expected = "AuthorizationPermissionMismatch"
                yield service(kind, letter), operation, expected
        for letter in sorted(ACCOUNT_LETTERS):
            for types in ("s", "c", "o"):
                if row["account"] == "-":
                    expected = "AuthorizationFailure"
                elif types not in row["types"]:
                    expected = "AuthorizationResourceTypeMismatch"
                elif letter in row["account"]:
                    expected = overwrites or letter == "w"
                else:
                    expected = "AuthorizationPermissionMismatch"
                yield account(letter, types), operation, expected


CELLS = list(cells())


def test_the_matrix_covers_every_operation_and_has_at_least_400_cells():
    assert TABLE.keys() == RULES.keys() == set(Operation)
    assert len(CELLS) >= 400


@pytest.mark.parametrize("operation", Operation, ids=lambda operation: operation.value)
def test_each_cell_of_the_matrix_has_its_verdict(operation):
    wrong = [
        (grant.kind.value, "".join(grant.letters), "".join(grant.types), expected, found)
        for grant, row, expected in CELLS
        if row is operation and (found := verdict(grant, operation)) != expected
    ]
    assert wrong == []


@pytest.mark.parametrize("operation", Operation, ids=lambda operation: operation.value)
def test_the_account_key_may_do_everything(operation):
    assert verdict(sas.KEY_GRANT, operation, with_tags=True) is True


@pytest.mark.parametrize("operation", Operation, ids=lambda operation: operation.value)
def test_the_token_of_the_genesys_page_finds_and_does_nothing_else(operation):
    allowed = operation in (Operation.FIND_BLOBS, Operation.FIND_BLOBS_IN_CONTAINER)
    assert (verdict(account("f"), operation) is True) is allowed


def test_an_account_token_for_other_services_is_refused_before_its_types_and_letters():
    assert verdict(account("f", "s", "qtf"), Operation.GET_BLOB) == "AuthorizationServiceMismatch"
    assert verdict(account("f", "s", "b"), Operation.GET_BLOB) == "AuthorizationResourceTypeMismatch"
    assert verdict(account("f", "o", "b"), Operation.GET_BLOB) == "AuthorizationPermissionMismatch"


@pytest.mark.parametrize("operation", sorted(CREATING, key=str))
def test_create_alone_never_overwrites(operation):
    for make in (account, lambda letters: service(sas.GrantKind.BLOB, letters)):
        assert verdict(make("c"), operation) is False
        assert verdict(make("w"), operation) is True
        assert verdict(make("cw"), operation) is True


@pytest.mark.parametrize("operation", [Operation.PUT_BLOB, Operation.PUT_BLOCK_LIST, Operation.COPY_BLOB])
def test_writing_tags_along_needs_the_letter_t(operation):
    for make in (account, lambda letters: service(sas.GrantKind.CONTAINER, letters)):
        assert verdict(make("w"), operation, with_tags=True) == "AuthorizationPermissionMismatch"
        assert verdict(make("wt"), operation, with_tags=True) is True


def test_listing_tags_needs_the_letter_t_of_a_service_token():
    operation = Operation.LIST_BLOBS
    assert (
        verdict(service(sas.GrantKind.CONTAINER, "l"), operation, with_tags=True)
        == "AuthorizationPermissionMismatch"
    )
    assert verdict(service(sas.GrantKind.CONTAINER, "lt"), operation, with_tags=True) is True
    assert verdict(account("l"), operation, with_tags=True) is True
