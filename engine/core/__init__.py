"""What every domain may import: events, commands, clock, deadlines, errors, bodies, the record ledger.

Nothing here knows a domain, a file or Trio.
"""
