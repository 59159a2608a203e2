"""Assemble the console: the objects that its pages share, and the routes."""

from __future__ import annotations

from functools import partial

import jinja2
from quart import Blueprint

from retain.api.admin.actions import Administration
from retain.api.admin.command_line import command_line
from retain.api.config.load import Config
from retain.api.console.blueprint import console_blueprint
from retain.api.console.containers.emptying import Emptyings
from retain.api.console.evidence import Evidence
from retain.api.console.figures.traffic import Traffic
from retain.api.console.forms.csrf import Csrf
from retain.api.console.routes import NODE_ROUTES, ROUTES
from retain.api.console.routing.desk import Desk
from retain.api.console.sessions import Cookies, Sessions, is_secure
from retain.api.html.rendering import environment
from retain.api.http.external import ExternalUrl
from retain.api.identity import Identity
from retain.api.settings.history import History
from retain.api.settings.interface import policy_of
from retain.engine import Engine


def open_console(
    engine: Engine,
    config: Config,
    administration: Administration,
    identity: Identity,
    traffic: Traffic,
) -> Blueprint:
    """Return the console's blueprint. All users are signed out: sessions are in memory.

    Templates are compiled here, in the thread that creates the pages, and not during the first request.
    """
    desk = desk_of(engine, config, administration, identity, traffic)
    for name in desk.templates.list_templates():
        desk.templates.get_template(name)
    is_node = "node list" in administration.actions()
    return console_blueprint(desk, (*ROUTES, *NODE_ROUTES) if is_node else ROUTES)


def desk_of(
    engine: Engine, config: Config, administration: Administration, identity: Identity, traffic: Traffic
) -> Desk:
    """Return the objects that the pages share."""
    longest_s = config.console.session_hours * 3600
    secure = is_secure(config.server)
    checkpoints = administration.checkpoints
    evidence = Evidence(engine, checkpoints.trail, checkpoints.erasures)
    return Desk(
        engine=engine,
        config=config,
        administration=administration,
        identity=identity,
        external=ExternalUrl(config.server),
        sessions=Sessions(engine.entropy, idle_s=config.console.idle_minutes * 60, longest_s=longest_s),
        cookie=Cookies("retain-session", secure=secure, longest_s=longest_s),
        guest=Cookies("retain-form", secure=secure, longest_s=longest_s),
        csrf=Csrf(engine.entropy(32)),
        templates=_templates(config),
        traffic=traffic,
        settings=History(engine, policy_of(config.settings), evidence.trail),
        evidence=evidence,
        emptyings=Emptyings(engine),
    )


def _templates(config: Config) -> jinja2.Environment:
    """Return the pages' templates, in which `command_line` writes a command for this server's data."""
    made = environment("retain.api.console")
    made.globals["command_line"] = partial(command_line, data=config.storage.data)
    return made
