"""The small forms of the protocol, one a module: addresses, ranges, ETags, times, names, tags, errors.

Each module reads or writes one form and knows no operation and no engine state.
"""
