"""Tags into music files, and out of them again."""
