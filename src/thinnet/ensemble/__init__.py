"""Many predictions made one: sampling, uncertainty and selection."""

from thinnet.ensemble._caruana2004 import greedy_selection
from thinnet.ensemble._guo2017 import sharpened, temperature
from thinnet.ensemble._mc_predict import mc_predict
from thinnet.ensemble._predictions import Predictions

__all__ = ["Predictions", "greedy_selection", "mc_predict", "sharpened", "temperature"]
