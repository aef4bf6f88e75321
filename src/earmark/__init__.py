"""earmark listens to music and says what it hears."""

__version__ = "0.1.0"
