"""Equality of two models, shown by running both."""
