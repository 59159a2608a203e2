"""A disk in memory, with power cuts, lost syncs, failing operations and torn sectors, for tests.

The product never imports this folder; embedding programs may, for tests of their own.
"""
