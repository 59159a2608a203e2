"""The hostile campaign: one malicious address against a real server, an innocent client beside it.

`make hostile` runs it at full scale, `tests/hostile/test_campaign.py` at a small one.
"""
