"""Content whose payload file is missing or damaged: `search` finds it, `accept` records its loss.

Imports the domains that have payload files; none of them imports it.
"""
