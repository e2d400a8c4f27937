"""Probes that use a cluster as its users do, and the checkers that judge what they saw."""
