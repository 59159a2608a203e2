"""Erasure: `reaper` ends what is due, `eraser` decides which bytes are due, `steps` has them zeroed.

Runs beside requests. One of the folders that import Trio.
"""
