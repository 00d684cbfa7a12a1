"""Where an extraction runs."""
