"""The shared log: where the machines of one cluster commit the journal's frames before they write them.

One node leads: it commits each frame here, under its term and right after the record that it expects, and
only then writes the same bytes to its own folder. The others take committed frames and write them to theirs.
Frames stay here for hours; the journal is in the folders.

`interface` defines what a shared log must do. `leadership` is one node's term and lease of it.
`journal/testing/shared.py` has a shared log in memory, with faults. A journal alone imports none of this.
"""
