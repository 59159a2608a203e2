"""HTTP messages as the interfaces see them: request, body, response, refusals, links.

No interface is known here.
"""
