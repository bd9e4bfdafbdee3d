"""Columns chosen by a regularization path before the candidates are trained."""
