"""Why nothing is suggested, or not any more: one name a cause, and its text for people.

The values are stable: *Why nothing?* shows them, logs and clients may compare them. Does not cover
what execution says of a suggestion that is shown; that is its outcome.
"""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Of silence at a cursor, in the order of a request's way."""

    text: str
    """A clause for people, without a full stop."""

    def __new__(cls, value: str, text: str = "") -> Cause:
        member = str.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member

    DISABLED = "disabled", "suggestions are switched off in the settings"
    EXCLUDED = (
        "excluded",
        "the file is excluded: by the settings, by Git, or for a name that secrets have",
    )
    JUST_ACCEPTED = (
        "just-accepted",
        "a suggestion was accepted just before, and nothing typed since",
    )
    WORD_RIGHT = "word-right-of-cursor", "word characters right of the cursor"
    TOO_MUCH_RIGHT = "too-much-right-of-cursor", "too much code right of the cursor"
    IN_STRING = "in-string", "the cursor is in a string, and nothing was asked for"
    IN_COMMENT = "in-comment", "the cursor is in a comment, and nothing was asked for"
    SUPERSEDED = "superseded", "a later request took its place"
    CODE_FENCE = "code-fence", "the model left the code: a Markdown fence"
    ECHOES_PROMPT = (
        "echoes-prompt",
        "the model left the code: a file header or marker of its prompt",
    )
    REPEATED_LINE = "repeated-line", "the model repeats the same lines"
    UNMATCHED_CLOSER = "unmatched-closer", "closes a bracket that is not open"
    DEDENT = "dedent", "the model would go on outside of the block"
    NOTHING_TO_ADD = "nothing-to-add", "the model has nothing to add here"
    TOO_SHORT = "too-short", "too short to help"
    REPEATS_ABOVE = "repeats-above", "repeats the line above"
    REPEATS_BELOW = "repeats-below", "repeats the line below"
    REPEATED_TAIL = "repeated-tail", "ends in a repetition"
    RESEMBLES_SUFFIX = "resembles-suffix", "almost the same lines stand below"
    DOES_NOT_FIT = "does-not-fit", "its brackets do not fit the code right of the cursor or below"
    POPUP_CONTRADICTS = "popup-contradicts", "does not begin with the item selected in the popup"
