"""The owner of trust in a session: what the client said, what the user answered, and the question.

Decides for a folder whenever it is asked, so that an answer given elsewhere (another editor, the
command line) holds from the next request on. Must be used from the server's event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from egcfg_lsp.settings import Settings
from egcfg_lsp.trust import (
    Answer,
    TrustFile,
    decide,
    problems_of_list,
    real_folder,
    reason_not_to_trust,
)

TRUST, NOT_NOW, NEVER = "Trust", "Not now", "Never"

log = logging.getLogger(__name__)


class TrustOwner:
    """`on_problem` is told each problem once."""

    def __init__(self, memory: TrustFile, on_problem: Callable[[str], None]) -> None:
        self._memory, self._on_problem = memory, on_problem
        self._asked: set[Path] = set()
        self._told: set[str] = set()
        self.word: bool | None = None
        """What the client said last of its workspace; None: nothing since its options."""

    def decide(self, root: Path | None, folder: Path | None, settings: Settings) -> Answer | None:
        """Whether the project's tests may be run; None: nobody has said.

        Without a workspace folder around it the client's yes is about other folders.
        """
        if root is None:
            return Answer.REFUSED
        remembered = self._memory.read()
        for problem in (remembered.problem, *problems_of_list(settings.trust)):
            self._tell(problem)
        word = self.word_of(settings)
        if word and folder is None:
            word = None
        return decide(root, word=word, listed=settings.trust, remembered=remembered)

    def word_of(self, settings: Settings) -> bool | None:
        """What the client says of its workspace."""
        return settings.trusted if self.word is None else self.word

    async def answer(self, folder: Path, answer: Answer) -> Path:
        """Remember what the user says of a folder; the real one is returned. Raises TrustError."""
        return await asyncio.to_thread(self._memory.remember, folder, answer)

    async def ask(self, server: LanguageServer, folder: Path) -> Answer | None:
        """Ask the user, once a session and folder; the answer, as it was remembered.

        Raises TrustError.
        """
        if folder in self._asked:
            return None
        self._asked.add(folder)
        actions = [types.MessageActionItem(title) for title in (TRUST, NOT_NOW, NEVER)]
        message = f"egcfg: run the tests of {folder} in the sandbox to verify suggestions?"
        question = types.ShowMessageRequestParams(types.MessageType.Info, message, actions)
        try:
            chosen = await server.window_show_message_request_async(question)
        except JsonRpcException as error:
            log.warning("the client does not ask: %s", error)
            return None
        answers = {TRUST: Answer.TRUSTED, NEVER: Answer.REFUSED}
        answer = answers.get(chosen.title) if chosen is not None else None
        if answer is not None:
            await self.answer(folder, answer)
        return answer

    def _tell(self, problem: str) -> None:
        if problem and problem not in self._told:
            self._told.add(problem)
            self._on_problem(problem)


def folder_to_ask_for(root: Path, workspace: Path | None) -> Path | None:
    """What an answer shall be about: the workspace's folder with all its projects, else the project.

    None where neither can be trusted.
    """
    real_root = real_folder(root)
    for folder in (workspace, root):
        real = None if folder is None else real_folder(folder)
        if real is None or real_root is None or not real_root.is_relative_to(real):
            continue
        if not reason_not_to_trust(real):
            return real
    return None
