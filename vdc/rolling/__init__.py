"""Servers go away and come back one after the other: who may go next, how each does it, and what the history says."""
