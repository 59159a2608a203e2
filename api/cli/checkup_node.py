"""The checks of `retain doctor` at a node of a cluster: those of a start, and none changes anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Final

from retain import journal
from retain.api.cli.checkup import ERROR, FINE, WARNING, CheckResult
from retain.api.cli.with_nodes import check_store, connecting, read_secret, store_of
from retain.api.cli.words import counted
from retain.api.config.load import Config, ConfigError
from retain.engine.nodes.connection import refuse_other_journal
from retain.engine.nodes.files import check_secret
from retain.journal.check.sample import sample
from retain.journal.shared.interface import SharedHead

_OF_SECRET: Final = "cluster secret"  # noqa: S105 - what it is called
_LOG: Final = "shared log"
_STORE: Final = "payload store"


def node(config: Config) -> Iterator[CheckResult]:
    """Check the secret, the database, and the store of a node; the store needs the journal's identity."""
    secret, head = None, None
    try:
        secret = read_secret(config)
    except ConfigError as error:
        yield _wrong(_OF_SECRET, error)
    else:
        yield CheckResult(_OF_SECRET, FINE, "only its owner can read it")
    try:
        yield from _server(config)
        with closing(connecting(config)()) as shared:
            head, kept, nodes = shared.head(), shared.kept(), shared.nodes()
    except (ConfigError, journal.JournalError) as error:
        yield _wrong(_LOG, error)
    else:
        text = f"it ends with record {head.seq:,}; " + (
            f"node {head.leader} leads" if head.remaining > 0 else "no node leads"
        )
        yield CheckResult(_LOG, FINE, text)
        if secret is not None:
            yield from _keys(secret, kept)
        if len(nodes) < config.cluster.copies:
            yield CheckResult(
                _LOG,
                WARNING,
                f"cluster.copies is {config.cluster.copies}, and {counted(len(nodes), 'node')} ever reported"
                ": PostgreSQL drops no frames, so erased content stays in it",
                "start further nodes, or lower cluster.copies on all",
            )
        yield from _folder(config, head)
    yield _store(config, head)


def _server(config: Config) -> Iterator[CheckResult]:
    """Report all that is wrong with the database's server; a start names only the first refusal."""
    connecting(config)  # says if psycopg is missing
    from retain.journal.shared.postgres.survey import survey

    assert config.cluster.log is not None
    found = survey(config.cluster.log)
    yield CheckResult("PostgreSQL", FINE, f"PostgreSQL {found.version} answers")
    for level, findings in ((ERROR, found.refusals), (WARNING, found.warnings)):
        for one in findings:
            yield CheckResult("PostgreSQL", level, one.found, one.advice)


def _keys(secret: bytes, kept: Mapping[str, bytes]) -> Iterator[CheckResult]:
    """Check that the keys in the shared log can be read with the secret."""
    try:
        check_secret(secret, kept)
    except journal.BadTarget as error:
        yield _wrong(_OF_SECRET, error)


def _folder(config: Config, head: SharedHead) -> Iterator[CheckResult]:
    """Check that the data folder has the shared log's journal; one without a journal takes it from there."""
    try:
        identity = sample(journal.RealDisk(config.storage.data, create=False)).identity
    except (journal.JournalError, OSError):
        return  # another check reports it
    if identity:
        try:
            refuse_other_journal(head, identity)
        except journal.BadTarget as error:
            yield _wrong(_LOG, error)


def _store(config: Config, head: SharedHead | None) -> CheckResult:
    try:
        objects = store_of(config)
        if head is None:
            return CheckResult(
                _STORE, WARNING, "it was not checked, because the shared log was not read", "see above"
            )
        check_store(objects, head.identity)
    except ConfigError as error:
        return _wrong(_STORE, error)
    return CheckResult(_STORE, FINE, f"{config.storage.payloads} is the cluster's")


def _wrong(subject: str, error: Exception) -> CheckResult:
    """Return an error of a start as a finding: what it says after the last semicolon is what to do."""
    text, _, advice = str(error).rpartition("; ")
    if not text:
        text, advice = advice, "correct it and run this command again; a node does not start before"
    return CheckResult(subject, ERROR, text, advice)
