"""Nodes: engines on several machines that answer as one.

Each node has a folder of its own with the whole journal. One node leads: it decides, and commits each frame
to the shared log (`retain.journal.shared`) before it writes it. The others follow: they receive the same
frames, answer reads themselves, and send commands to the leader.

A node answers only under a lease: the leader under its lease of the shared log, a follower under a grant from
the leader. A change is answered when every node that may still answer has applied it. `leases` keeps these
rules, without input and output; `leader` and `follower` are the two roles, `node` the engine that has them,
`messages` what nodes send to one another. One of the folders that import Trio.
"""
