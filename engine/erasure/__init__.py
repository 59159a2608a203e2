"""Forgetting: the reaper ends what is due, the eraser makes its bytes go, in slices beside the requests.

One of the three folders that know Trio.
"""
