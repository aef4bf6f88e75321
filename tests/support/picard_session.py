"""What Picard does with our plug-in, run by a Python that has Picard: one JSON object on stdout.

python picard_session.py PLUGIN_FOLDER HOME SERVER FILE...

The manifest, the plug-in's interface, its options, files and threads are Picard's own; of its
main window only what an action asks for is there.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def main(plugin: Path, home: Path, server: str, paths: list[str]) -> dict[str, Any]:
    import picard.tagger
    from picard.config import setup_config
    from picard.formats import DEFAULT_FORMATS
    from picard.formats.registry import FormatRegistry
    from picard.options import init_options
    from picard.plugin3.api import PluginApi
    from picard.plugin3.validation import PluginValidation
    from picard.util.thread import ProxyToMainEvent
    from PyQt6.QtCore import QThreadPool, pyqtSignal
    from PyQt6.QtWidgets import QApplication

    class Application(QApplication):  # type: ignore[misc]  # its types are not followed
        """Picard's, without its window."""

        tagger_stats_changed = pyqtSignal()

        def __init__(self) -> None:
            super().__init__(["picard"])
            self.thread_pool = QThreadPool()
            self.window = SimpleNamespace(selected_objects=[])

        def event(self, event: Any) -> bool:
            if isinstance(event, ProxyToMainEvent):
                event.run()
                return True
            return bool(super().event(event))

    application = Application()
    picard.tagger.Tagger._Tagger__instance = application
    errors: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("main").addHandler(handler)
    setup_config(application, str(home / "picard.ini"))
    init_options()
    manifest = PluginValidation.read_and_validate_manifest(plugin, plugin)
    spec = importlib.util.spec_from_file_location(
        "picard.plugins.earmark", plugin / "__init__.py", submodule_search_locations=[str(plugin)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    api = PluginApi(manifest, application, module, plugin)
    module.enable(api)

    page = module.EarmarkOptions()
    page.load()
    before = (page.server.text(), page.least.value(), page.replace.isChecked())
    page.server.setText(server)
    page.least.setValue(0.0)
    page.save()

    formats = FormatRegistry()
    for each in DEFAULT_FORMATS:
        formats.register(each)
    files = [formats.open(path) for path in paths]
    for file in files:
        file.metadata.update(file._load(file.filename))
        file.state = file.State.NORMAL
    application.window.selected_objects = files
    module.HearAction().trigger()
    while any(file.state == file.State.PENDING for file in files):
        application.processEvents()
    for file in files:
        file._save(file.filename, file.metadata)
    return {"defaults": before, "errors": errors}


if __name__ == "__main__":
    plugin, home, server, *files = sys.argv[1:]
    json.dump(main(Path(plugin), Path(home), server, files), sys.stdout)
