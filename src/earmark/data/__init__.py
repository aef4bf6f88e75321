"""From song ids to shards: catalogs, sources, matching, downloads, the store."""
