"""Shared by all pages: the template environment with its filters, macros, stylesheet, scripts and headers.

Each package with pages has its own `templates` folder: `areas`, `web` and `console`. This package has no page
and no route.
"""
