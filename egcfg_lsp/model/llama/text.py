"""From tokens to lines: what of a generated text is complete, and when it has to end.

Knows no model. The rules of indentation look at the generated text alone: brackets and strings that
it opens are followed, those that were open at the cursor are not known here.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field, replace

from egcfg_lsp.model import Finished, Line, Stop, StopReason, Token
from egcfg_lsp.source.brackets import NOTHING_OPEN, Scope, scan
from egcfg_lsp.source.lines import indent_of


@dataclass
class GeneratedText:
    """The text of one continuation as its tokens arrive."""

    stop: Stop
    index: int
    starts_line: bool
    """Whether the cursor stands at a line's start, so that the first line can be a dedent."""
    reason: StopReason | None = None
    n_tokens: int = 0
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _pending: str = ""
    _tokens: list[Token] = field(default_factory=list)
    """Behind those of the last line."""
    _n_characters: int = 0
    _scope: Scope = NOTHING_OPEN
    _has_text: bool = False

    def push(self, piece: bytes, token: Token) -> list[Line]:
        """Lines that are complete by the token; sets `reason` when the text has ended.

        `piece` is what the token adds to the text; the token's `end` is set by it.
        """
        self.n_tokens += 1
        self._take(self._decoder.decode(piece))
        self._tokens.append(replace(token, end=self._n_characters))
        lines = self._cut_at_string() or self._complete_lines()
        if self.reason is None and self._is_dedent(self._pending, is_whole=False):
            self.reason = StopReason.DEDENT
        if self.reason is None and self.n_tokens >= self.stop.max_tokens:
            self.reason = StopReason.BUDGET
        return lines

    def end(self, token: Token | None = None) -> list[Line]:
        """The model has nothing to add, and said so by `token`: the last line, if there is one."""
        self.reason = StopReason.END
        self._take(self._decoder.decode(b"", final=True))
        lines: list[Line] = []
        if self._pending and self._ends_before(self._pending) is None:
            lines.append(self._line(self._pending))
        if token is not None:
            self._tokens.append(replace(token, end=self._n_characters))
        return lines

    @property
    def finished(self) -> Finished:
        """How the text has ended; for one that has."""
        assert self.reason is not None
        return Finished(self.index, self.reason, tuple(self._tokens))

    def _take(self, text: str) -> None:
        self._pending += text
        self._n_characters += len(text)

    def _complete_lines(self) -> list[Line]:
        lines: list[Line] = []
        while self.reason is None and "\n" in self._pending:
            text, _, rest = self._pending.partition("\n")
            self.reason = self._ends_before(text)
            if self.reason is None:
                self._pending = rest
                lines.append(self._line(text + "\n"))
                self._scope = scan(text.removesuffix("\r") + "\n", self._scope)
                self._has_text |= bool(text.strip())
                if self.stop.at_line_end and self._has_text:
                    self.reason = StopReason.LINE_END
                self.starts_line = True
        return lines

    def _cut_at_string(self) -> list[Line]:
        """What stands before a stop string, when the pending text has come to hold one."""
        starts = [self._pending.find(string) for string in self.stop.strings if string]
        starts = [start for start in starts if start >= 0]
        if not starts:
            return []
        self._pending = self._pending[: min(starts)]
        lines = self._complete_lines()
        if self.reason is None and self._pending.strip():
            self.reason = self._ends_before(self._pending)
            lines += [] if self.reason else [self._line(self._pending)]
        self.reason = self.reason or StopReason.STRING
        return lines

    def _ends_before(self, line: str) -> StopReason | None:
        if self._is_dedent(line, is_whole=True):
            return StopReason.DEDENT
        if self.starts_line and line.strip() and line.rstrip() == self.stop.suffix_line.rstrip():
            return StopReason.SUFFIX
        return None

    def _is_dedent(self, line: str, *, is_whole: bool) -> bool:
        """Whether a line, or as much as there is of it, shows that the block has ended."""
        return (
            self.stop.min_indent is not None
            and self.starts_line
            and bool(line.strip())
            and not self._scope.is_open
            and indent_of(line) < self.stop.min_indent
            and not any(_begins(line, text, is_whole=is_whole) for text in self.stop.dedents)
        )

    def _line(self, text: str) -> Line:
        line = Line(text, tuple(self._tokens), self.index)
        self._tokens.clear()
        return line


def _begins(line: str, text: str, *, is_whole: bool) -> bool:
    """Whether a line begins with the text, or may still come to."""
    return line.startswith(text) or (not is_whole and text.startswith(line))
