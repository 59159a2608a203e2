"""The commands, a module each with a `command`; `api.cli.main.SUMMARIES` names them."""
