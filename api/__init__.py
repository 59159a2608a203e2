"""The outer edge of Retain: HTTP, identities, the three documented interfaces, and the command line.

This package imports `engine`; the three surfaces (`areas`, `settings`, `blobs`) never import one another.
"""
