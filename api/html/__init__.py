"""What all pages share: the template environment and its filters, macros, stylesheet, scripts and headers.

Each room with pages has its own `templates` folder: `areas`, `web` and `console`. No page and no route here.
"""
