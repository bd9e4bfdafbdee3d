"""Training of differently regularized networks, all folds of all configurations together."""
