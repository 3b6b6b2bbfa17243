"""Prompts for language models: pure text in, parts out. Knows nothing of tokens or model files."""

from egcfg_lsp.prompt.chat import ChatTemplateError, Message, chat_parts
from egcfg_lsp.prompt.families import FAMILIES, Family, Identified, identify
from egcfg_lsp.prompt.fim import infill_prompt
from egcfg_lsp.prompt.parts import Control, Marker, Prompt, PromptForm, PromptPart

__all__ = [
    "FAMILIES",
    "ChatTemplateError",
    "Control",
    "Family",
    "Identified",
    "Marker",
    "Message",
    "Prompt",
    "PromptForm",
    "PromptPart",
    "chat_parts",
    "identify",
    "infill_prompt",
]
