"""A Picard 3 plug-in: genres and moods that a running `earmark serve` hears in files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from picard.plugin3.api import BaseAction, File, OptionsPage, PluginApi
from picard.util.thread import run_task
from PyQt6.QtWidgets import QCheckBox, QDoubleSpinBox, QFormLayout, QLineEdit

from .client import NotHeard, genres_and_moods, hear

DEFAULTS = {"server": "http://127.0.0.1:8000", "token": "", "least": 0.5, "replace": False}


class HearAction(BaseAction):  # type: ignore[misc]  # its types are not followed
    """The entry of the context menu."""

    TITLE = "Hear genres and moods (earmark)"
    api: PluginApi

    def callback(self, objs: Iterable[Any]) -> None:
        """Ask about each file once, in Picard's threads."""
        options = self.api.plugin_config
        files = {file.filename: file for each in objs for file in each.iterfiles()}
        for name, file in files.items():
            file.set_pending()
            ask = partial(hear, Path(name), server=options["server"], token=options["token"])
            run_task(ask, partial(self.fill, file), traceback=False)

    def fill(
        self, file: File, result: dict[str, Any] | None = None, error: Exception | None = None
    ) -> None:
        """Put what was heard into a file's new tags; Picard writes them when it saves the file."""
        options = self.api.plugin_config
        if result is None:
            self.api.logger.error("%s: %s", file.filename, error)
            if not isinstance(error, NotHeard):
                self.api.logger.error("This is a fault of the plug-in: %r", error)
        else:
            fields = zip(
                ("genre", "mood"), genres_and_moods(result, least=options["least"]), strict=True
            )
            for field, values in fields:
                if values and (options["replace"] or not file.metadata.getall(field)):
                    file.metadata[field] = values
        file.clear_pending()
        file.update()


class EarmarkOptions(OptionsPage):  # type: ignore[misc]
    """The page of options."""

    NAME = "earmark"
    TITLE = "earmark"
    PARENT = "plugins"
    api: PluginApi

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.server, self.token = QLineEdit(), QLineEdit()
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.least = QDoubleSpinBox(minimum=0.0, maximum=1.0, singleStep=0.05)
        self.replace = QCheckBox()
        form = QFormLayout(self)
        form.addRow("Address of earmark serve", self.server)
        form.addRow("Its token, if it has one", self.token)
        form.addRow("Least score of a tag", self.least)
        form.addRow("Replace values that are there", self.replace)

    def load(self) -> None:
        """Show the options."""
        options = self.api.plugin_config
        self.server.setText(options["server"])
        self.token.setText(options["token"])
        self.least.setValue(options["least"])
        self.replace.setChecked(options["replace"])

    def save(self) -> None:
        """Keep what was chosen."""
        options = self.api.plugin_config
        options["server"] = self.server.text().strip()
        options["token"] = self.token.text().strip()
        options["least"] = self.least.value()
        options["replace"] = self.replace.isChecked()


def enable(api: PluginApi) -> None:
    """Register the options and the actions."""
    for name, default in DEFAULTS.items():
        api.plugin_config.register_option(name, default)
    api.register_options_page(EarmarkOptions)
    api.register_file_action(HearAction)
    api.register_track_action(HearAction)
    api.register_album_action(HearAction)
    api.register_cluster_action(HearAction)
