"""Find Blobs by Tags and the conditions on tags: tokens, grammar, evaluation."""
