"""The sound of a library's songs: the original file, or Opus where a browser cannot play that."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse

from earmark.web.errors import CannotConvert

# What browsers are told of a file, by its suffix; never a type that a browser would run.
_TYPES = {
    ".aac": "audio/aac", ".aif": "audio/aiff", ".aiff": "audio/aiff", ".ape": "audio/x-ape",
    ".flac": "audio/flac", ".m4a": "audio/mp4", ".m4b": "audio/mp4", ".mka": "audio/x-matroska",
    ".mp3": "audio/mpeg", ".mp4": "audio/mp4", ".oga": "audio/ogg", ".ogg": "audio/ogg",
    ".opus": "audio/ogg", ".wav": "audio/wav", ".wave": "audio/wav", ".webm": "audio/webm",
    ".wma": "audio/x-ms-wma", ".wv": "audio/x-wavpack",
}  # fmt: skip
_KEPT = 8  # converted songs
_HEADERS = {"Cache-Control": "private, no-cache"}  # a browser may keep it, and asks each time


def media_type(path: Path) -> str:
    """The media type of a song."""
    return _TYPES.get(path.suffix.lower(), "application/octet-stream")


class Sound:
    """Sends songs; converts one at a time, in a process that may crash, and keeps the last few.

    folder : for what is converted; who gives it deletes it
    seconds : that a conversion may take
    """

    def __init__(self, folder: Path, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._converted: OrderedDict[tuple[int, int, int], Path] = OrderedDict()

    def original(self, path: Path) -> Response:
        """The file itself; a request for a range of it gets that."""
        status = self._status(path)
        return FileResponse(path, media_type=media_type(path), headers=_HEADERS, stat_result=status)

    async def opus(self, path: Path, number: int, request: Request) -> Response:
        """The song as Opus, whole before it is sent, so that a browser can seek in it."""
        status = self._status(path)
        key = (number, status.st_size, status.st_mtime_ns)
        async with self._turn:
            done = self._converted.pop(key, None)
            if done is None and not await request.is_disconnected():
                done = await self._convert(path)
            if done is None:
                return Response(status_code=499)
            self._converted[key] = done
            while len(self._converted) > _KEPT:
                self._converted.popitem(last=False)[1].unlink(missing_ok=True)
        return FileResponse(done, media_type="audio/ogg", headers=_HEADERS)

    async def _convert(self, path: Path) -> Path:
        handle, name = tempfile.mkstemp(suffix=".opus", dir=self._folder)
        os.close(handle)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "earmark.web.opus_process",
            stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._seconds):
                await process.communicate(os.fsencode(path) + b"\0" + os.fsencode(name))
        except TimeoutError:
            pass  # it is killed below
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            Path(name).unlink(missing_ok=True)
            raise CannotConvert(f"{path.name} cannot be converted to Opus. Export it again")
        return Path(name)

    @staticmethod
    def _status(path: Path) -> os.stat_result:
        try:
            status = path.stat()
        except OSError as error:
            raise CannotConvert(f"{path.name} is not there: {error.strerror}. Scan again") from None
        if not stat.S_ISREG(status.st_mode):
            raise CannotConvert(f"{path.name} is no longer a file. Scan again")
        return status
