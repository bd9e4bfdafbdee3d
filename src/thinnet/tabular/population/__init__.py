"""The candidates of a fit, trained together over all folds."""
