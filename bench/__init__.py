"""The benchmark harness: named workloads, and peers measured in the same run.

Ratios to the peers are printed first. `python -m retain.bench` lists the scenarios. A scenario in
`scenarios/` measures one thing; nothing of the product imports this package.
"""
