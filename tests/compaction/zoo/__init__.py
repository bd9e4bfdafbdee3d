"""Networks on which `tn.compact` is judged: families of transformers, and small ones of every kind of operation."""
