"""A running data centre: what may be asked and done, its life, and when it has converged."""
