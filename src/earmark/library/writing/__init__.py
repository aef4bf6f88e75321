"""Writing tags into music files: the plan, the change, the journal and the undo."""
