"""Several processes: workers serve the interfaces, one process decides, appends and renders the pages.

`supervisor` starts the workers and exchanges messages with them, in the deciding process; `messages` defines
these messages, in addition to the engine's; `pages` forwards a request for a page to the deciding process;
`registries` is a worker's view of keys, users and failed logins. `api/cli/worker.py` assembles the worker
itself.
"""
