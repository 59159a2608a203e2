"""Following: an engine in another process that answers reads from its own copy of the state.

One process, the leader, decides and appends. A follower applies the journal's tail, up to the record that the
leader has published as durable, before it answers; so every answer is as if from one process. It sends
changes to the leader as commands. `board` is the published page, `follower` the following engine, `followers`
the leader's side; `link` and `codec` carry their messages. One of the folders that import Trio.
"""
