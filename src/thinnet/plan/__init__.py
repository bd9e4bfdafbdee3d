"""Which rule governs which parameter, and what is wrong with it."""
