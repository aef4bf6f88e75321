"""A finished run as the one-file model."""
