"""Look at a server as each connection of a node does, and report all that is wrong with it."""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

import psycopg

from retain.journal.errors import Unsettled
from retain.journal.shared.postgres import demands
from retain.journal.shared.postgres.connection import ANSWER_S, complete, connect, reason
from retain.journal.shared.postgres.demands import ServerFinding


class ServerSurvey(NamedTuple):
    """What was found.

    Attributes:
        version: PostgreSQL's version, such as 15.18.
        refusals: Why no node starts with this server.
        warnings: What else an operator should change.

    """

    version: str
    refusals: list[ServerFinding]
    warnings: list[ServerFinding]


def survey(url: str, patience: float = ANSWER_S) -> ServerSurvey:
    """Return what a node would find at its start.

    Args:
        url: As of `PostgresShared`.
        patience: The longest wait for an answer, in seconds.

    Raises:
        BadTarget: `url` is not the URL of a database, or the server is too old.
        Unsettled: There was no answer.

    """
    try:
        with closing(connect(complete(url), patience)) as connection:
            number = connection.info.server_version
            server = demands.ask(connection)
    except psycopg.Error as error:
        raise Unsettled(f"the shared log does not answer: {reason(error)}") from error
    version = f"{number // 10000}.{number % 10000}"
    return ServerSurvey(version, list(demands.refusals(server)), demands.warn(server))
