"""Servers and libraries to measure beside ours, in the same run.

They are started where they are installed, and never required.
"""
