"""Servers and libraries to measure beside Retain, in the same run.

They are used if they are installed, and never required.
"""
