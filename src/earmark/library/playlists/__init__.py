"""Playlists and similar songs."""
