"""Many predictions made one: sampling, uncertainty and selection."""
