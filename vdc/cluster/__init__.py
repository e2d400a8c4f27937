"""Clusters and the deployers that put them on a data centre."""
