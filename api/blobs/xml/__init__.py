"""XML bodies of the blob interface: read, written, and the policies and properties they carry."""
