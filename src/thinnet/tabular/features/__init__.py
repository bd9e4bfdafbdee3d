"""Selection of features by a regularization path, before the population is trained."""
