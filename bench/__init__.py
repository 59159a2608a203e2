"""The benchmark harness: workloads by name, peers in the same run, ratios first. ``python -m bench`` lists
them."""
