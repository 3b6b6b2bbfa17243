"""Python source as text: the target under the cursor, its oracle tests, edits. Pure; tree-sitter only."""
