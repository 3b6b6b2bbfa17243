"""Lines as editors count them: by LF and CRLF. `str.splitlines` also breaks at form feeds and U+2028."""


def split_lines(text: str) -> list[str]:
    """The text in lines, each with its line end; joined they are the text."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
