"""More than one process: workers answer the interfaces, one process decides, appends and makes the pages.

`supervisor` starts the workers and talks with them, in the process that decides; `messages` is what they say
beside the engine's own; `pages` carries a request for a page from a worker to where it is made; `registries`
and `throttle` are a worker's view of keys, users and failed logins. The worker itself is put together in
`api/cli/worker.py`.
"""
