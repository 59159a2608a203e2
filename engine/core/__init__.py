"""What every domain may import: events, commands, clock, deadlines, errors, bodies, the record ledger.

Knows no domain, no file and no Trio.
"""
