"""A server as a node of a cluster: its connections, its secret, and what it shares with the other nodes.

How nodes follow, lead and answer is the engine's (`retain.engine.nodes`). Imported only where `cluster.log`
is set.
"""
