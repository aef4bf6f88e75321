"""Stores of spectrograms: written, read, verified, exported and imported."""
