"""The benchmark for users: `retain bench list|run|compare|report`.

It contains the scenarios, the load generators, the peers and the report. In the product, only the command
`retain bench` imports this package, when it is called. It is installed with `retain[bench]`.
"""
