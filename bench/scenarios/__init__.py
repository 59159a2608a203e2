"""One scenario a module; each names itself in `SCENARIO`."""
