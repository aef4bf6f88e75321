"""From a run to a model file, and back to a network."""
