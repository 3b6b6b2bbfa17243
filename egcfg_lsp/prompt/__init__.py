"""Prompts for language models: pure text in, parts out. Knows nothing of tokens or model files."""

from egcfg_lsp.prompt.fim import Marker, Prompt, PromptPart, infill_prompt

__all__ = ["Marker", "Prompt", "PromptPart", "infill_prompt"]
