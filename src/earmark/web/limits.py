"""Limits of the server: size, time and memory of a request, and how many there are at once."""

from __future__ import annotations

from dataclasses import dataclass, fields

from earmark import engine
from earmark.errors import BadValue


@dataclass(frozen=True)
class Limits:
    """The limits of a server; a request beyond one is answered with an error that names it.

    upload_mb : size of one upload, in 10^6 bytes
    upload_seconds : how long an upload may take to arrive
    minutes : length of one song
    decode_seconds : how long the decoder may work on one file before it is killed
    decode_mb : memory that the decoder may take for one file, in 10^6 bytes, beyond what it needs
        to start; enforced on Linux only
    waiting : requests under way at once, those that wait included; more are answered with 503
    decoders : processes that decode in parallel; 0 is one for each core
    """

    upload_mb: float = 400.0  # a set of two hours as MP3 at 320 kbit/s has 290
    upload_seconds: float = 120.0
    minutes: float = 150.0
    decode_seconds: float = 120.0
    decode_mb: float = 1000.0
    waiting: int = 64
    decoders: int = 0

    def __post_init__(self) -> None:
        """Refuse limits that no request could keep."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not (value > 0 or (field.name == "decoders" and value == 0)):
                raise BadValue(f"{field.name} is {value}; it must be above zero")

    @property
    def n_decoders(self) -> int:
        """How many decoder processes there are."""
        return self.decoders or engine.cpu_count()

    @property
    def upload_bytes(self) -> int:
        """The size of one upload, in bytes."""
        return round(self.upload_mb * 1e6)
