"""Whether a search result is the recording that was asked for; no input or output."""
