"""A traced model's graph: constants, dependency groups and what can be removed exactly."""
