"""One request before and around its handler: its operation, credentials, parameters and conditions.

`call` is what a handler gets, `views` the headers that it answers with. No operation is carried out here:
`api.blobs.interface` uses this room, and `api.blobs.routes` has the handlers.
"""
