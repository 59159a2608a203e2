"""One request to the console: the call that a page gets, routes as data, navigation, error pages.

`desk` has the objects that all pages of a server share. No page is here: they are in `api/console/pages`.
"""
