"""The Azure Blob Storage surface: pure cores (signatures, conditions, queries, XML) and the routes above
them."""
