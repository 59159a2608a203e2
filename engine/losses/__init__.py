"""Content whose payload file is missing or damaged: `search` finds it, `accept` writes its loss down.

Knows the domains that have payload files, and is imported by none of them.
"""
