"""Upgrades: which ways lead from a release to another, what forbids them, and how they are gone and judged."""
