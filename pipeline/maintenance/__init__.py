"""Checks and upkeep of a bank."""
