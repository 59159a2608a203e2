"""The console's forms: their valid values, and the proof of their origin.

A form checks what was typed; it changes nothing and reads no state.
"""
