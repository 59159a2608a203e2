"""XML bodies: reading those of requests strictly, writing listings, policies and service properties.

No operation is carried out here.
"""
