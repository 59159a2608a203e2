"""Routes outside the interfaces: health, readiness, metrics, the landing page; and logging.

A new metric belongs in `metrics`. Pages and routes for signed-in users are in `api.console`.
"""
