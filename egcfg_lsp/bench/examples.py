"""The examples that a docstring shows, as assert statements.

Each calls the function with literals and compares with a literal, so nothing but the function is
needed to run them. Examples written in any other way are left out, and what a docstring claims is not
checked: HumanEval has some that its own solution fails.
"""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass

_WRAPPERS = {"abs", "len", "list", "round", "set", "sorted", "tuple"}
"""Builtins that an expression of a doctest may put around the call."""
_ARROW = re.compile(r"[ \t]*(?:#[ \t]*)?(?:==>|=>|==|=|➞|→|->|returns?\b|should\s+return\b)")
_BEHIND_VALUE = re.compile(r"[ \t]+[#(].*$|[ \t.,;]+$")
_SPELLED = {"true": "True", "false": "False"}
_INPUT_OUTPUT = (
    re.compile(r"\bFor (?P<input>\S.*?),? +the (?:output|result) should be +(?P<output>.+)"),
    re.compile(r"\bInput: *(?P<input>\S.*)\n\s*Output: *(?P<output>.+)"),
)


@dataclass(frozen=True)
class _Function:
    name: str
    parameters: tuple[str, ...]


def docstring_examples(source: str, entry_point: str) -> tuple[str, ...]:
    """One assert an example of the function's docstring, without repetitions.

    Read are doctests whose output is a literal; `f(1) == 2`, also with `=`, `=>`, `->`, `➞`,
    `returns` or `should return`; `For x = 1 the output should be 2`; and `Input:` above `Output:`.
    Empty if the source does not parse or does not define the function.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    defined = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry_point
    ]
    if not defined:
        return ()
    arguments = defined[-1].args
    names = tuple(argument.arg for argument in (*arguments.posonlyargs, *arguments.args))
    function, text = _Function(entry_point, names), _docstring(defined[-1])
    found = (*_doctests(text, function), *_inline(text, function), *_stated(text, function))
    return tuple(dict.fromkeys(found))


def _docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The first string that is a statement: in HumanEval/115 an import stands above it."""
    for statement in function.body:
        match statement:
            case ast.Expr(ast.Constant(str(text))):
                return text
    return ""


def _doctests(text: str, function: _Function) -> Iterator[str]:
    """Those of the parser, block by block: a broken one does not hide the others."""
    parser = doctest.DocTestParser()
    for block in re.split(r"^(?=[ \t]*>>>)", text, flags=re.MULTILINE)[1:]:
        try:
            examples = parser.get_examples(block)
        except ValueError:
            continue
        for example in examples:
            expression, value = _expression(example.source), _literal(example.want.strip())
            if expression and value and _only_calls(expression, function):
                yield f"assert {ast.unparse(expression)} == {value}"


def _inline(text: str, function: _Function) -> Iterator[str]:
    """`f(1) == 2` and the like, wherever it stands."""
    for start in re.finditer(rf"(?<![\w.]){re.escape(function.name)}\(", text):
        if not (call := _call_at(text, start.start())):
            continue
        expression, end = call
        if _only_calls(expression, function) and (arrow := _ARROW.match(text, end)):
            rest = text[arrow.end() :].partition("\n")[0]
            if value := _value(rest):
                yield f"assert {ast.unparse(expression)} == {value}"


def _stated(text: str, function: _Function) -> Iterator[str]:
    """Inputs by the names of the parameters, or the only one."""
    for pattern in _INPUT_OUTPUT:
        for match in pattern.finditer(text):
            call = _expression(f"{function.name}({match['input'].strip()})")
            value = _value(match["output"])
            if not value or not isinstance(call, ast.Call) or not _only_calls(call, function):
                continue
            named = {keyword.arg: keyword.value for keyword in call.keywords}
            if named and not call.args and set(named) == set(function.parameters):
                positional = [named[name] for name in function.parameters]
            elif not named and len(call.args) == len(function.parameters) == 1:
                positional = call.args
            else:
                continue
            arguments = ", ".join(ast.unparse(argument) for argument in positional)
            yield f"assert {function.name}({arguments}) == {value}"


def _call_at(text: str, start: int) -> tuple[ast.Call, int] | None:
    """The call that begins there, over lines if need be, and where it ends."""
    for bracket in re.finditer(r"\)", text[start : start + 2000]):
        end = start + bracket.end()
        expression = _expression(text[start:end])
        if isinstance(expression, ast.Call):
            return expression, end
    return None


def _value(rest: str) -> str:
    """The literal of the rest of a line, without a remark behind it; of `1 + 2 = 3` the last."""
    for text in (rest, rest.rpartition(" = ")[2]):
        for candidate in (_BEHIND_VALUE.sub("", text), text):
            if value := _literal(candidate.strip()):
                return value
    return ""


def _literal(text: str) -> str:
    """The literal as Python writes it; empty if it is none."""
    expression = _expression(_SPELLED.get(text, text))
    return ast.unparse(expression) if expression and _is_literal(expression) else ""


def _expression(source: str) -> ast.expr | None:
    try:
        return ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _is_literal(expression: ast.expr) -> bool:
    try:
        ast.literal_eval(expression)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return False
    return True


def _only_calls(expression: ast.expr, function: _Function) -> bool:
    """Whether it is a call of the function with literals, or a builtin around one."""
    match expression:
        case ast.Call(ast.Name(name), arguments, keywords) if name == function.name:
            values = (*arguments, *(keyword.value for keyword in keywords))
            return all(_is_literal(value) for value in values)
        case ast.Call(ast.Name(name), [inner, *others], []) if name in _WRAPPERS:
            return _only_calls(inner, function) and all(_is_literal(value) for value in others)
    return False
