"""From tokens to lines: what of a generated text is complete, and when it has to end.

Knows no model. The rules of indentation look at the generated text alone: brackets and strings that
it opens are followed, those that were open at the cursor are not known here.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

from egcfg_lsp.model import Line, Stop, StopReason
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
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _pending: str = ""
    _log_probabilities: list[float] = field(default_factory=list)
    _n_tokens: int = 0
    _scope: Scope = NOTHING_OPEN
    _has_text: bool = False

    def push(self, piece: bytes, log_probability: float) -> list[Line]:
        """Lines that are complete by the token; sets `reason` when the text has ended."""
        self._log_probabilities.append(log_probability)
        self._n_tokens += 1
        self._pending += self._decoder.decode(piece)
        lines = self._cut_at_string() or self._complete_lines()
        if self.reason is None and self._is_dedent(self._pending, is_whole=False):
            self.reason = StopReason.DEDENT
        if self.reason is None and self._n_tokens >= self.stop.max_tokens:
            self.reason = StopReason.BUDGET
        return lines

    def end(self) -> list[Line]:
        """The model has nothing to add: the last line, if there is one."""
        self.reason = StopReason.END
        self._pending += self._decoder.decode(b"", final=True)
        if self._pending and self._ends_before(self._pending) is None:
            return [self._line(self._pending)]
        return []

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
        line = Line(text, tuple(self._log_probabilities), self.index)
        self._log_probabilities.clear()
        return line


def _begins(line: str, text: str, *, is_whole: bool) -> bool:
    """Whether a line begins with the text, or may still come to."""
    return line.startswith(text) or (not is_whole and text.startswith(line))
