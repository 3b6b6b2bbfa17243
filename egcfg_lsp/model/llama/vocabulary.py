"""Text to tokens and back, with llama.cpp's vocabulary. Knows nothing of contexts or decoding."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from egcfg_lsp.model import ModelError
from egcfg_lsp.prompt import Control, Identified, Marker, Prompt, PromptPart, identify

_SPECIAL = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED
_FIM_TOKENS = (llama.llama_vocab_fim_pre, llama.llama_vocab_fim_suf, llama.llama_vocab_fim_mid)
"""Control tokens by a file's metadata, even where the file does not mark them as such."""
_BUFFER_BYTES = 1024


class Vocabulary:
    """The vocabulary of a loaded model, and the form of prompts it was identified to want."""

    def __init__(self, model: Any, metadata: Mapping[str, str]) -> None:
        self._vocab = llama.llama_model_get_vocab(model)
        self._buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        self.n_tokens: int = llama.llama_vocab_n_tokens(self._vocab)
        self._bos, self._eos = (
            llama.llama_vocab_bos(self._vocab),
            llama.llama_vocab_eos(self._vocab),
        )
        # SentencePiece vocabularies put a space before any text, as if it began a document: such text is
        # tokenised behind a line end, which never becomes a part of a longer token there.
        spaced = self._piece(self._raw_tokens("x")[0], special=False).startswith(b" ")
        self._lead = "\n" if spaced else ""
        self._n_lead = len(self._raw_tokens(self._lead))
        self.identified: Identified = identify(
            metadata,
            lambda text: self._control_token(text) is not None,
            bos=self._control_text(self._bos),
            eos=self._control_text(self._eos),
        )
        markers = {m: self._control_token(text) for m, text in self.identified.markers.items()}
        self._markers = {marker: token for marker, token in markers.items() if token is not None}
        bos = self.identified.bos
        wants_bos = bool(llama.llama_vocab_get_add_bos(self._vocab)) if bos is None else bos
        self._first = [self._bos] if wants_bos and self._bos >= 0 else []
        self._marker_tokens = frozenset(self._markers.values())

    def tokenize(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt; plain text never becomes a control token."""
        tokens: list[int] = []
        previous: PromptPart | None = None
        for part in prompt.parts:
            if isinstance(part, Marker):
                if part not in self._markers:
                    raise ModelError(f"the model's vocabulary has no token for {part.value}")
                tokens.append(self._markers[part])
            elif isinstance(part, Control):
                tokens += self._text_tokens(part.text, special=True)
            elif previous in (None, Marker.FIM_PREFIX):
                tokens += self._plain_tokens(part, begins=True)
            else:
                tokens += self._plain_tokens(part)
            previous = part
        return tokens if tokens[: len(self._first)] == self._first else self._first + tokens

    def text_tokens(self, text: str) -> list[int]:
        """Token ids of text that stands behind other text."""
        return self._plain_tokens(text)

    def is_end(self, token: int) -> bool:
        """Whether a model that writes this token has finished its answer."""
        return token in self._marker_tokens or llama.llama_vocab_is_eog(self._vocab, token)

    @cached_property
    def pieces(self) -> Sequence[bytes]:
        """What each token stands for in text; nothing for control tokens."""
        return self._pieces_at_once() or [
            self._piece(i, special=False) for i in range(self.n_tokens)
        ]

    @cached_property
    def index(self) -> PieceIndex:
        return PieceIndex(self.pieces)

    def _plain_tokens(self, text: str, *, begins: bool = False) -> list[int]:
        """Text as text: where llama.cpp finds one of the markers in it, the marker is cut in two."""
        tokens = self._raw_tokens(text) if begins else self._text_tokens(text)
        if self._marker_tokens.isdisjoint(tokens):
            return tokens
        spelling = next((t for t in self.identified.markers.values() if t in text), None)
        if spelling is None:
            return [token for token in tokens if token not in self._marker_tokens]
        cut = text.index(spelling) + max(1, len(spelling) // 2)
        return self._plain_tokens(text[:cut], begins=begins) + self._plain_tokens(text[cut:])

    def _text_tokens(self, text: str, *, special: bool = False) -> list[int]:
        return self._raw_tokens(self._lead + text, special=special)[self._n_lead :]

    def _raw_tokens(self, text: str, *, special: bool = False) -> list[int]:
        data = text.encode(errors="replace")
        ids = (llama.llama_token * (len(data) + 2))()
        n = llama.llama_tokenize(self._vocab, data, len(data), ids, len(ids), False, special)
        if n < 0:
            raise ModelError("llama.cpp could not tokenise the prompt")
        return list(ids[:n])

    def _pieces_at_once(self) -> list[bytes] | None:
        """All pieces by one call, which takes a tenth of the time of one call a token.

        The token of the byte 0 stands between the tokens; None where that does not tell them apart.
        """
        zeros = self._text_tokens("\0")
        if len(zeros) != 1 or self._piece(zeros[0], special=False) != b"\0":
            return None
        ids = np.full(2 * self.n_tokens, zeros[0], np.int32)
        ids[1::2] = np.arange(self.n_tokens)
        ids[2 * zeros[0] + 1] = ids[1] if zeros[0] else ids[3]
        room = ctypes.create_string_buffer(self.n_tokens * 64)
        pointer = ids.ctypes.data_as(ctypes.POINTER(llama.llama_token))
        n = llama.llama_detokenize(self._vocab, pointer, len(ids), room, len(room), False, False)
        pieces = room.raw[: max(n, 0)].split(b"\0")[1:]
        if len(pieces) != self.n_tokens:
            return None
        pieces[zeros[0]] = b"\0"
        return pieces

    def _control_token(self, text: str) -> int | None:
        """The control or user-defined token whose text this is."""
        tokens = self._text_tokens(text, special=True)
        tokens = [token for token in tokens if self._piece(token, special=True).strip()]
        if len(tokens) != 1:
            return None
        known = [token(self._vocab) for token in _FIM_TOKENS]
        special = llama.llama_vocab_get_attr(self._vocab, tokens[0]) & _SPECIAL
        return tokens[0] if special or tokens[0] in known else None

    def _control_text(self, token: int) -> str:
        return self._piece(token, special=True).decode(errors="replace") if token >= 0 else ""

    def _piece(self, token: int, *, special: bool) -> bytes:
        n = llama.llama_token_to_piece(self._vocab, token, self._buffer, _BUFFER_BYTES, 0, special)
        return bytes(self._buffer.raw[:n]) if n > 0 else b""


class PieceIndex:
    """Which tokens agree with a text that is already there."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._by_first_byte: dict[int, list[tuple[bytes, int]]] = {}
        for token, piece in enumerate(pieces):
            if piece:
                self._by_first_byte.setdefault(piece[0], []).append((piece, token))
        self.agreeing = lru_cache(maxsize=128)(self._agreeing)

    def _agreeing(self, typed: bytes) -> npt.NDArray[np.int64]:
        """Ids of the tokens that begin with `typed`, or that `typed` begins with."""
        tokens = [
            token
            for piece, token in self._by_first_byte.get(typed[0], ())
            if piece.startswith(typed) or typed.startswith(piece)
        ]
        return np.array(tokens, np.int64)


def read_metadata(model: Any) -> dict[str, str]:
    """The metadata of a GGUF file, as text."""

    def text(getter: Any, i: int) -> str:
        n = getter(model, i, None, 0)
        buffer = ctypes.create_string_buffer(max(n, 0) + 1)
        getter(model, i, buffer, len(buffer))
        return buffer.value.decode(errors="replace")

    return {
        text(llama.llama_model_meta_key_by_index, i): text(
            llama.llama_model_meta_val_str_by_index, i
        )
        for i in range(llama.llama_model_meta_count(model))
    }
