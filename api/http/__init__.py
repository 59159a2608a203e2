"""HTTP messages as the interfaces see them: requests, bodies, responses, refusals, addresses of clients.

No interface and no server is known here; only the configuration is imported.
"""
