"""What the pages of one server share."""

from __future__ import annotations

from dataclasses import dataclass

import jinja2

from retain.api.admin.actions import Administration
from retain.api.config.load import Config
from retain.api.console.containers.emptying import Emptyings
from retain.api.console.evidence import Evidence
from retain.api.console.figures.traffic import Traffic
from retain.api.console.forms.csrf import Csrf
from retain.api.console.sessions import Cookies, Sessions
from retain.api.http.external import ExternalUrl
from retain.api.identity import Identity
from retain.api.settings.history import History
from retain.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The objects shared by all pages of one server; created once beside the application.

    Attributes:
        engine: The open data folder.
        config: The whole configuration.
        administration: The actions that the command line calls, too.
        identity: Authenticates callers, with the interfaces' own throttling of failed logins.
        external: Returns the URL by which clients reach this server.
        sessions: The sessions of signed-in users.
        cookie: The session's cookie.
        guest: The cookie of a browser that is not signed in.
        csrf: Makes and checks forms' tokens.
        templates: The pages.
        settings: Reads earlier versions of settings.
        traffic: Recent request rates.
        evidence: Reads the journal for pages, and runs long work.
        emptyings: Containers that are being emptied.
    """

    engine: Engine
    config: Config
    administration: Administration
    identity: Identity
    external: ExternalUrl
    sessions: Sessions
    cookie: Cookies
    guest: Cookies
    csrf: Csrf
    templates: jinja2.Environment
    traffic: Traffic
    settings: History
    evidence: Evidence
    emptyings: Emptyings
