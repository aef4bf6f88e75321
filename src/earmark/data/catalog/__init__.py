"""Catalogs: which songs there are, what they are called and how they are labelled."""
