"""Playlists: songs by an expression, by examples, or on a journey; and songs that sound alike."""
