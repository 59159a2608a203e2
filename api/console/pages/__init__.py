"""The console's pages, one module each. A module's `ROUTES` lists its paths and their roles.

A page shows and submits; what it does is in `api.admin`, `engine.audit` or the engine.
"""
