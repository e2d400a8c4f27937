"""What explains a failure, gathered while it is still there: one archive without secrets, of limited size."""

from vdc.evidence.bundle import Bundle, gather

__all__ = ["Bundle", "gather"]
