"""Numbers for the pages: recent request rates, and bars for the coming days.

Plain functions and data; the templates draw them, and no page is here.
"""
