"""A smaller model made of a decision: slices, attributes, optimizer state, recipe."""
