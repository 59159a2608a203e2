"""What the server answers beside the interfaces: health, readiness, metrics, the landing page; and its logs.

A new metric belongs into `metrics`. Pages and routes for signed-in users are in `api.console`.
"""
