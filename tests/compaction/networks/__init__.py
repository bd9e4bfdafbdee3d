"""Networks drawn at random, on which compaction has to be right whatever they are."""
