"""Networks on which compaction has to be right: drawn at random, and one with dead nodes."""
