"""Ensembles of predictions: Monte Carlo dropout, uncertainty, calibration, temperature scaling and greedy selection."""

from thinnet.ensemble._calibration import calibration
from thinnet.ensemble._caruana2004_greedy import greedy_selection
from thinnet.ensemble._coverage import Coverage
from thinnet.ensemble._mc_predict import mc_predict
from thinnet.ensemble._predictions import Predictions
from thinnet.ensemble._reliability import Bin, Reliability
from thinnet.ensemble._temperature_scaling import sharpened, temperature

__all__ = [
    "Bin",
    "Coverage",
    "Predictions",
    "Reliability",
    "calibration",
    "greedy_selection",
    "mc_predict",
    "sharpened",
    "temperature",
]
