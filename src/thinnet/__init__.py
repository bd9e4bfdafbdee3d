"""thinnet: regularization for PyTorch, made real, fast and trustworthy."""

from thinnet.dropout import Dropout

__version__ = "0.1.0"

__all__ = ["Dropout", "__version__"]
