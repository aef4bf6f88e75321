"""Previews of songs: searched, downloaded, checked and kept in a folder with a ledger."""
