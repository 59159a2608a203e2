"""The benchmark that users run themselves: `retain bench list|run|compare|report`.

Here live the scenarios, the load generators, the peers and the report. Nothing of the product imports this
package, but for the command `retain bench`, which loads it when it is called. It is installed with
`retain[bench]`.
"""
