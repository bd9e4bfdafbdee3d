"""Strengths found: the path of every strength, what to choose on it, and what makes it exact."""

from thinnet.search._keep_zeros import keep_zeros
from thinnet.search._path import path
from thinnet.search._point import Point
from thinnet.search._polish import Polished, polish
from thinnet.search._result import Path

__all__ = ["Path", "Point", "Polished", "keep_zeros", "path", "polish"]
