"""A virtual data centre that tells you whether an upgrade may go ahead."""

__version__ = "0.1.0"
