"""The commands, one module each, with a `command`; `api.cli.main.SUMMARIES` names them.

A module parses arguments and prints; what it does is in `api.admin` or `engine.audit`.
"""
