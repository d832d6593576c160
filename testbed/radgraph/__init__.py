"""A RadGraph with random weights, and reports to read with it."""
