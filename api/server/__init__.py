"""From sockets to the application: listening, connections, HTTP/1.1 and HTTP/2, limits, the stop.

No interface is known by name: `api.cli.assemble` makes them and hands them over.
"""
