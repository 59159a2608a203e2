"""Following: an engine in another process that answers reads from its own copy of the state.

One process, the leader, decides and appends. A follower applies the journal's tail, up to the record that the
leader has published as durable, before it answers; so every answer is as if from one process. What changes
something goes to the leader as a command.

`board` is what the leader publishes, `follower` the engine that follows, `followers` the leader's side of it,
`link` and `codec` what they say to one another. One of the folders that import Trio.
"""
