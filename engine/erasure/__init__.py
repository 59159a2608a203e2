"""Erasure: `reaper` ends what is due, `eraser` decides which bytes are due, `erase` zeroes them.

Runs beside requests. One of the three folders that import Trio.
"""
