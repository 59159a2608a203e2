"""The command line: `main` names the commands, `commands` holds them, `assemble` puts a server together.

The other modules are shared by commands: running an action in the server or here, opening a data folder.
"""
