"""One module for each scenario, with the constant `SCENARIO`."""
