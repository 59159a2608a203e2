"""Finding records without replay: the index of a sealed segment, histories of a resource, scans of it all."""
