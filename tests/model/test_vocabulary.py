"""Text to tokens and back: nothing is lost, and no text becomes a control token.

On tiny models of several kinds; the same rules hold for the real model's vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import gguf
import llama_cpp.llama_cpp as llama
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egcfg_lsp.model import ModelError
from egcfg_lsp.model.llama.vocabulary import PieceIndex, Vocabulary, read_metadata
from egcfg_lsp.prompt import FAMILIES, Control, Marker, Prompt
from tests.support.gguf_models import tiny_model

CODE = "def f(x):\n\treturn  'é𝄞' + x  # <s>\r\n\n\n    \t  \x00\x0c\u2028\ufeff…"
SPACE = "\u2581"
"""What SentencePiece vocabularies write for a space; in a text it cannot be told from one."""
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=SPACE)),
    st.text("def x_\n\t \r(é𝄞\x00"),
    st.lists(st.sampled_from(["def", " ", "\n", "    ", "test_", "𝄞", "\x00", "<s>", "|>"])).map(
        "".join
    ),
)

GRANITE = tuple(spellings[0] for spellings in FAMILIES["Granite-Code"].tokens.values())
CODE_LLAMA = tuple(spellings[0] for spellings in FAMILIES["CodeLlama"].tokens.values())


def make_user_defined(path: Path, control_tokens: Sequence[str]) -> Path:
    """Turn control tokens of a file into user-defined ones, which llama.cpp finds in any text."""
    reader = gguf.GGUFReader(path, "r+")
    names = reader.get_field("tokenizer.ggml.tokens")
    types = reader.get_field("tokenizer.ggml.token_type")
    assert names is not None
    assert types is not None
    for part, name in zip(types.data, names.contents(), strict=True):
        if name in control_tokens:
            types.parts[part][0] = gguf.TokenType.USER_DEFINED
    del reader
    return path


def write_plain(path: Path) -> Path:
    return tiny_model(path)


def write_spaced(path: Path) -> Path:
    """Like Llama 2's: a space is put before any text."""
    return tiny_model(path, metadata={"tokenizer.ggml.add_space_prefix": True})


def write_granite(path: Path) -> Path:
    return tiny_model(path, metadata={"general.name": "granite"}, control_tokens=GRANITE)


def write_user_defined(path: Path) -> Path:
    return make_user_defined(write_granite(path), GRANITE)


def write_code_llama(path: Path) -> Path:
    return tiny_model(
        path,
        metadata={"general.name": "codellama", "tokenizer.ggml.add_space_prefix": True},
        control_tokens=CODE_LLAMA,
    )


def write_code_llama_user_defined(path: Path) -> Path:
    return make_user_defined(write_code_llama(path), CODE_LLAMA)


KINDS: dict[str, Callable[[Path], Path]] = {
    writer.__name__.removeprefix("write_"): writer
    for writer in (
        write_plain,
        write_spaced,
        write_granite,
        write_user_defined,
        write_code_llama,
        write_code_llama_user_defined,
    )
}


@contextmanager
def vocabulary_of(path: Path) -> Iterator[Vocabulary]:
    llama.llama_backend_init()
    parameters = llama.llama_model_default_params()
    parameters.vocab_only = True
    model = llama.llama_model_load_from_file(str(path).encode(), parameters)
    assert model
    yield Vocabulary(model, read_metadata(model))
    llama.llama_model_free(model)


@pytest.fixture(
    scope="module",
    params=[*KINDS, pytest.param("default model", marks=pytest.mark.model)],
)
def vocabulary(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vocabulary]:
    if request.param in KINDS:
        path = KINDS[request.param](tmp_path_factory.mktemp("vocabulary") / "m.gguf")
    else:
        path = request.getfixturevalue("default_model")
    with vocabulary_of(path) as vocabulary:
        yield vocabulary


def text_of(vocabulary: Vocabulary, tokens: Sequence[int]) -> str:
    return b"".join(vocabulary.pieces[token] for token in tokens).decode()


def control_tokens(vocabulary: Vocabulary) -> dict[int, str]:
    """Control tokens and markers, with their texts."""
    return {
        token: vocabulary._piece(token, special=True).decode()
        for token in range(vocabulary.n_tokens)
        if llama.llama_vocab_is_control(vocabulary._vocab, token)
        or token in vocabulary._marker_tokens
    }


def plain_text(vocabulary: Vocabulary, text: str) -> list[int]:
    """Tokens of a prompt that is only a text, without the begin token."""
    tokens = vocabulary.tokenize(Prompt((text,)))
    return tokens[len(vocabulary._first) :]


def test_pieces_are_those_of_each_token(vocabulary: Vocabulary) -> None:
    wanted = [vocabulary._piece(token, special=False) for token in range(vocabulary.n_tokens)]
    markers = vocabulary._marker_tokens
    differing = [
        (token, piece, one)
        for token, (piece, one) in enumerate(zip(vocabulary.pieces, wanted, strict=True))
        if piece != one and token not in markers
    ]
    assert differing == []


def test_all_pieces_come_at_once(vocabulary: Vocabulary) -> None:
    assert vocabulary._pieces_at_once() is not None


def test_control_tokens_stand_for_no_text(vocabulary: Vocabulary) -> None:
    for token, text in control_tokens(vocabulary).items():
        user_defined = not llama.llama_vocab_is_control(vocabulary._vocab, token)
        assert vocabulary.pieces[token] == (text.encode() if user_defined else b"")


@given(texts)
@settings(max_examples=150, deadline=None)
def check_round_trip(vocabulary: Vocabulary, text: str) -> None:
    assert text_of(vocabulary, vocabulary.text_tokens(text)) == text
    whole = text_of(vocabulary, plain_text(vocabulary, text))
    assert whole == (" " + text if vocabulary._lead and text else text)


def test_any_text_comes_back(vocabulary: Vocabulary) -> None:
    """But for the space that some vocabularies put before a document."""
    check_round_trip(vocabulary)
    assert text_of(vocabulary, vocabulary.text_tokens(CODE)) == CODE


def test_no_text_becomes_a_control_token(vocabulary: Vocabulary) -> None:
    controls = control_tokens(vocabulary)
    assert len(controls) >= 2
    for spelling in controls.values():
        for text in (
            spelling,
            f"x = '{spelling}'\n",
            spelling * 3,
            f" {spelling} {spelling}",
            spelling[:-1] + spelling,
        ):
            for tokens in (plain_text(vocabulary, text), vocabulary.text_tokens(text)):
                assert controls.keys().isdisjoint(tokens)
            if SPACE not in text:
                assert text_of(vocabulary, vocabulary.text_tokens(text)) == text


def test_text_like_a_control_token_is_text_behind_a_marker_too(vocabulary: Vocabulary) -> None:
    markers = vocabulary.identified.markers
    for marker, spelling in markers.items():
        prompt = Prompt((marker, spelling, marker, f"{spelling}x"))
        ours = [t for t in vocabulary.tokenize(prompt) if t in vocabulary._marker_tokens]
        assert ours == [vocabulary._markers[marker]] * 2


def test_markers_are_single_tokens_that_end_an_answer(vocabulary: Vocabulary) -> None:
    markers = vocabulary.identified.markers
    for marker in markers:
        *first, token = vocabulary.tokenize(Prompt((marker,)))
        assert first == vocabulary._first
        assert vocabulary.is_end(token)
    for marker in set(Marker) - markers.keys():
        with pytest.raises(ModelError, match=f"no token for {marker.value}"):
            vocabulary.tokenize(Prompt(("x", marker)))
    for word in ("def", "x", "\n", " "):
        assert not any(map(vocabulary.is_end, vocabulary.text_tokens(word)))


def test_in_control_text_control_tokens_are_recognised(vocabulary: Vocabulary) -> None:
    for token, text in control_tokens(vocabulary).items():
        # What begins with a space in a file stands behind one already.
        if text.strip() == text and SPACE not in text and text:
            tokens = vocabulary.tokenize(Prompt(("x", Control(text))))
            assert tokens[-1] == token


def test_a_prompt_begins_with_the_begin_token_once(vocabulary: Vocabulary) -> None:
    begin = vocabulary._first
    for parts in ((), ("",), ("x",), (Control("x"),)):
        assert vocabulary.tokenize(Prompt(parts))[: len(begin)] == begin
    if begin:
        text = control_tokens(vocabulary)[begin[0]]
        assert vocabulary.tokenize(Prompt((Control(text + "x"),))).count(begin[0]) == 1


def test_text_behind_text_is_tokenised_without_a_space_between(vocabulary: Vocabulary) -> None:
    for before, after in (("re", "turn"), ("x\n", "  y"), ("(", "x"), ("", "x"), ("x", " ")):
        tokens = plain_text(vocabulary, "# " + before) + vocabulary.text_tokens(after)
        assert text_of(vocabulary, tokens).lstrip(" ") == "# " + before + after


def test_half_characters_are_no_error(vocabulary: Vocabulary) -> None:
    assert text_of(vocabulary, vocabulary.text_tokens("a\ud83db")) == "a?b"


def naive_agreeing(pieces: Sequence[bytes], typed: bytes) -> list[int]:
    return [
        token
        for token, piece in enumerate(pieces)
        if piece and (piece.startswith(typed) or typed.startswith(piece))
    ]


@pytest.mark.parametrize(
    "typed",
    [b"re", b"return", b"returned x", b" ", b"    ", b"\n", b"\xc3", b"\xa9", b"def ", b"\x00"],
)
def test_tokens_that_agree_with_what_is_typed(vocabulary: Vocabulary, typed: bytes) -> None:
    agreeing = vocabulary.index.agreeing(typed).tolist()
    assert agreeing == naive_agreeing(vocabulary.pieces, typed)
    assert agreeing


few_bytes = st.binary(max_size=4).map(lambda data: bytes(byte % 3 for byte in data))


@given(st.lists(few_bytes, max_size=30), few_bytes.filter(bool))
@settings(max_examples=150, deadline=None)
def test_index_of_any_pieces(pieces: list[bytes], typed: bytes) -> None:
    assert PieceIndex(pieces).agreeing(typed).tolist() == naive_agreeing(pieces, typed)


def test_spaced_vocabularies_put_a_space_before_a_document_only(tmp_path: Path) -> None:
    with vocabulary_of(write_spaced(tmp_path / "m.gguf")) as vocabulary:
        assert text_of(vocabulary, plain_text(vocabulary, "x")) == " x"
        assert text_of(vocabulary, vocabulary.text_tokens("x")) == "x"
    with vocabulary_of(write_plain(tmp_path / "n.gguf")) as vocabulary:
        assert text_of(vocabulary, plain_text(vocabulary, "x")) == "x"
    with vocabulary_of(write_code_llama(tmp_path / "c.gguf")) as vocabulary:
        markers = (Marker.FIM_PREFIX, Marker.FIM_SUFFIX, Marker.FIM_MIDDLE)
        parts = [part for marker in markers for part in (marker, "x")]
        assert text_of(vocabulary, vocabulary.tokenize(Prompt(tuple(parts)))) == " xxx"
        assert text_of(vocabulary, vocabulary.tokenize(Prompt(("x", "x")))) == " xx"


def test_metadata_is_read_as_text(transformer: Path) -> None:
    llama.llama_backend_init()
    parameters = llama.llama_model_default_params()
    parameters.vocab_only = True
    model = llama.llama_model_load_from_file(str(transformer).encode(), parameters)
    metadata = read_metadata(model)
    llama.llama_model_free(model)
    assert metadata["general.architecture"] == "llama"
    assert metadata["general.name"] == "tiny random model"
    assert metadata["llama.context_length"] == "2048"
