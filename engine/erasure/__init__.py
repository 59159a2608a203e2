"""Erasure: `reaper` ends due entries, `eraser` decides which bytes are due, `steps` zeroes them.

Runs beside requests. One of the folders that import Trio.
"""
