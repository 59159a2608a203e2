"""HTTP messages for the interfaces: requests, bodies, responses, refusals, addresses of clients.

This package imports the configuration only, no interface and no server.
"""
