"""What the pages of one server share."""

from __future__ import annotations

from dataclasses import dataclass

import jinja2

from retain.api.admin.acts import Administration
from retain.api.config.load import Config
from retain.api.console.evidence import Evidence
from retain.api.console.forms.csrf import Csrf
from retain.api.console.sessions import Cookies, Sessions
from retain.api.console.traffic import Traffic
from retain.api.http.external import ExternalUrl
from retain.api.identity import Identity
from retain.api.settings.history import History
from retain.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Made once beside the application.

    Attributes:
        engine: The open data folder.
        config: The whole configuration.
        administration: The acts that the command line has done, too.
        identity: Recognises callers, with the interfaces' own slow-down of failed logins.
        external: How clients reach this server.
        sessions: Who is signed in.
        cookie: Names the session.
        guest: Names a browser that is not signed in.
        csrf: Makes and checks forms' tokens.
        templates: The pages.
        settings: Reads earlier versions of settings.
        traffic: How many requests were answered lately.
        evidence: Reads the journal for pages, and does long work.
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
