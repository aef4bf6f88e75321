"""Matching: is a search result the recording that a catalog means? Reads and writes nothing."""
