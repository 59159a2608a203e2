"""The command line: `main` lists the commands, `commands` holds them, `assemble` builds a server.

The other modules are shared by commands: running an action in the server or here, opening a data folder,
output. Actions themselves belong to `api.admin`, questions to a journal to `engine.audit`.
"""
