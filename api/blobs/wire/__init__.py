"""The small forms of the blob protocol, one a module: addresses, ranges, ETags, times, names, errors."""
