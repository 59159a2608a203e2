"""Sockets and connections: listening, HTTP/1.1 and HTTP/2, limits, stopping.

This package knows no interface by name: `api.cli.assemble` creates them and passes them in.
"""
