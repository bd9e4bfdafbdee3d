"""Tables in, scikit-learn estimators out."""
