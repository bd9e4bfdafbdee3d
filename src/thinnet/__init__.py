"""thinnet: regularization for PyTorch, made real, fast and trustworthy."""

__version__ = "0.1.0"

__all__ = ["__version__"]
