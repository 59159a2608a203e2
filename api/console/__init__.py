"""The console: pages for administrators, auditors and data-protection officers, under /console.

Pages use `api.admin`, the engine and the interfaces' parsers; this package has routes, forms, sessions, roles
and templates.
"""
