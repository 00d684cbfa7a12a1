"""The version, and nothing that needs importing."""

__version__ = "0.1.0"
