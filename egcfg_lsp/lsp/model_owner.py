"""The owner of the language model: makes it, loads it in sight of the user, downloads and replaces it.

Knows nothing of completions. Must be used from the server's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Protocol

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from egcfg_lsp.lsp.progress import Progress, progress
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.model.catalogue import CatalogueModel, catalogue
from egcfg_lsp.settings import ModelOptions, Settings

REPORT_SECONDS = 0.3
"""Between two reports of a download's progress."""
DOWNLOAD = "Download"

MakeModel = Callable[[Settings], LanguageModel]
"""Raises ModelNotFoundError."""

log = logging.getLogger(__name__)


class Pull(Protocol):
    def __call__(
        self,
        entry: CatalogueModel,
        *,
        on_bytes: Callable[[int], None],
        on_note: Callable[[str], None],
    ) -> Path:
        """Raises PullError; what `on_bytes` raises goes through."""
        ...


class _StoppedError(Exception):
    """The user has cancelled the download."""


class ModelOwner:
    def __init__(self, server: LanguageServer, make_model: MakeModel, pull: Pull) -> None:
        self._server, self._make_model, self._pull = server, make_model, pull
        self._model: LanguageModel | None = None
        self._made_for: tuple[object, ...] = ()
        self._closing: set[asyncio.Task[None]] = set()
        self._asked: set[str] = set()

    def model(self, settings: Settings) -> LanguageModel:
        """The model of the settings; another one than before takes its place.

        Raises ModelNotFoundError.
        """
        options = _model_options(settings)
        if self._model is not None and self._made_for != options:
            self._close_in_background(self._model)
            self._model = None
        if self._model is None:
            self._model, self._made_for = self._make_model(settings), options
        return self._model

    def is_other(self, settings: Settings) -> bool:
        """Whether the settings name another model, or load it in another way, than before."""
        return self._made_for != _model_options(settings)

    async def load(self, settings: Settings) -> LanguageModel:
        """The model, loaded. Raises ModelNotFoundError and ModelError."""
        model = self.model(settings)
        async with progress(self._server, f"loading {settings.model}"):
            await model.info()
        return model

    async def offer_download(self, settings: Settings) -> bool:
        """Ask once whether a missing model of the catalogue shall be downloaded; whether it is there.

        Raises PullError.
        """
        entry = catalogue().get(settings.model)
        if entry is None or entry.name in self._asked:
            return False
        self._asked.add(entry.name)
        question = types.ShowMessageRequestParams(
            type=types.MessageType.Info,
            message=f"egcfg: the model {entry.name} is not downloaded yet "
            f"({entry.bytes / 1e6:.0f} MB, {entry.licence}).",
            actions=[types.MessageActionItem(title=DOWNLOAD)],
        )
        try:
            answer = await self._server.window_show_message_request_async(question)
        except JsonRpcException as error:
            log.warning("the client does not ask: %s", error)
            return False
        return answer is not None and answer.title == DOWNLOAD and await self._download(entry)

    async def close(self) -> None:
        if self._model is not None:
            await self._model.close()
        await asyncio.gather(*self._closing)

    async def _download(self, entry: CatalogueModel) -> bool:
        loop = asyncio.get_running_loop()
        title = f"downloading {entry.name}"
        async with progress(self._server, title, cancellable=True) as shown:
            watch = _Watch(entry, shown, loop)
            try:
                await asyncio.to_thread(
                    self._pull, entry, on_bytes=watch.on_bytes, on_note=watch.on_note
                )
            except _StoppedError:
                return False
            finally:
                watch.stopped = True
        return True

    def _close_in_background(self, model: LanguageModel) -> None:
        task = asyncio.create_task(model.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Watch:
    """Turns a download's calls, which come from its thread, into reports; stops it from there."""

    def __init__(
        self, entry: CatalogueModel, shown: Progress, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._entry, self._shown, self._loop = entry, shown, loop
        self._reported = 0.0
        self.stopped = False
        """Set where nobody waits for the download any more."""

    def on_bytes(self, n_bytes: int) -> None:
        if self.stopped or self._shown.is_cancelled:
            raise _StoppedError
        if time.monotonic() - self._reported >= REPORT_SECONDS:
            self._reported = time.monotonic()
            percentage = min(100, 100 * n_bytes // self._entry.bytes)
            megabytes = f"{n_bytes / 1e6:.0f} of {self._entry.bytes / 1e6:.0f} MB"
            self._report(megabytes, percentage)

    def on_note(self, note: str) -> None:
        self._report(note, None)

    def _report(self, message: str, percentage: int | None) -> None:
        if not self.stopped:
            self._loop.call_soon_threadsafe(self._shown.report, message, percentage)


def _model_options(settings: Settings) -> tuple[object, ...]:
    return (settings.model, *(getattr(settings, field.name) for field in fields(ModelOptions)))
