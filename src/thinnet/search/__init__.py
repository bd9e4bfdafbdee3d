"""Regularization strength: a path of models over it, the choice among them, exact optima and refits that keep zeros."""

from thinnet.search._keep_zeros import KeptZeros, keep_zeros
from thinnet.search._path import path
from thinnet.search._path_result import RegularizationPath
from thinnet.search._point import Point
from thinnet.search._polish import Polished, polish_

__all__ = ["KeptZeros", "Point", "Polished", "RegularizationPath", "keep_zeros", "path", "polish_"]
