"""Imports of a Python file, and which files a dotted name may stand for.

Read from source and from paths alone: nothing is executed, and no disk is looked at. Does not cover
import hooks, or changes of `sys.path` other than pytest's `pythonpath`.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tree_sitter import Node

from egcfg_lsp.source.parse import text_of

SOURCE_FOLDERS = ("src", "lib", "python", "source")
"""Folders that hold packages without being one."""
_HOLDERS = {
    "ERROR", "module", "block", "decorated_definition", "function_definition", "class_definition",
    "if_statement", "elif_clause", "else_clause", "try_statement", "except_clause",
    "except_group_clause", "finally_clause", "with_statement", "for_statement", "while_statement",
    "match_statement", "case_clause",
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One imported name: `import module [as alias]` or `from module import name [as alias]`."""

    module: str
    """Dotted; a relative one keeps its leading dots."""
    name: str | None = None
    """None for `import module`, `*` for all names."""
    alias: str | None = None

    @property
    def local(self) -> str:
        """The name it binds; `import a.b` binds `a`."""
        return self.alias or self.name or self.module.partition(".")[0]


def imports_in(root: Node) -> tuple[Import, ...]:
    """All imports below a node, in source order: in functions and conditions, too."""
    return tuple(_imports(root))


def module_names(path: Path, root: Path, pythonpath: Sequence[str] = ()) -> tuple[str, ...]:
    """Dotted names under which a file may be imported, the shortest first; empty where none may.

    `pythonpath` are folders below `root` from which modules are imported, besides `root` itself and
    the `SOURCE_FOLDERS` on the way.
    """
    if not path.is_relative_to(root) or path.suffix != ".py":
        return ()
    parts = path.relative_to(root).with_suffix("").parts
    folders = parts[:-1]
    parts = folders if parts[-1] == "__init__" else parts
    starts = {0} | {i + 1 for i, folder in enumerate(folders) if folder in SOURCE_FOLDERS}
    starts |= {i + 1 for i, folder in enumerate(folders) if not _is_name(folder)}
    prefixes = [Path(folder).parts for folder in pythonpath]
    starts |= {len(prefix) for prefix in prefixes if folders[: len(prefix)] == prefix}
    found = (parts[start:] for start in sorted(starts, reverse=True))
    return tuple(".".join(names) for names in found if names and all(map(_is_name, names)))


def absolute(module: str, importer: Path, root: Path) -> str | None:
    """The absolute name of a module that `importer` imports; None where it leads out of `root`."""
    rest = module.lstrip(".")
    n_dots = len(module) - len(rest)
    if n_dots == 0:
        return module
    names = module_names(importer, root)
    if not names:
        return None
    package = names[0].split(".")
    n_up = n_dots - (importer.stem == "__init__")
    if n_up > len(package):
        return None
    return ".".join([*package[: len(package) - n_up], *([rest] if rest else [])]) or None


def submodule(module: str, name: str) -> str:
    """The dotted name of `name` in a module or package; `.` and `x` give `.x`."""
    return module + name if module.endswith(".") else f"{module}.{name}"


def candidate_files(
    module: str, root: Path, importer: Path | None = None, pythonpath: Sequence[str] = ()
) -> Iterator[Path]:
    """Files that a dotted name may stand for; the first that exists is the module.

    A relative name needs its `importer`. For an absolute one the folders above the importer are
    places to import from as well, as in pytest's `prepend` mode.
    """
    rest = module.lstrip(".")
    parts = rest.split(".") if rest else []
    bases: Iterable[Path]
    if rest == module:
        bases = chain((root / folder for folder in pythonpath), _import_places(root, importer))
    else:
        bases = [] if importer is None else _above(importer, len(module) - len(rest), root)
    for base in bases:
        yield base.joinpath(*parts, "__init__.py")
        if parts:
            yield base.joinpath(*parts[:-1], f"{parts[-1]}.py")


def _imports(root: Node) -> Iterator[Import]:
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type == "import_statement":
            for name in node.children_by_field_name("name"):
                module, alias = _name_and_alias(name)
                if module:
                    yield Import(module, None, alias)
        elif node.type in ("import_from_statement", "future_import_statement"):
            yield from _imports_from(node)
        elif node.type in _HOLDERS:
            pending.extend(reversed(node.named_children))


def _imports_from(node: Node) -> Iterator[Import]:
    module_node = node.child_by_field_name("module_name")
    module = "__future__" if module_node is None else "".join(text_of(module_node).split())
    if any(child.type == "wildcard_import" for child in node.children):
        yield Import(module, "*")
    for child in node.children_by_field_name("name"):
        name, alias = _name_and_alias(child)
        if name:
            yield Import(module, name, alias)


def _name_and_alias(node: Node) -> tuple[str, str | None]:
    if node.type != "aliased_import":
        return "".join(text_of(node).split()), None
    name, alias = node.child_by_field_name("name"), node.child_by_field_name("alias")
    return (
        "" if name is None else "".join(text_of(name).split()),
        None if alias is None else text_of(alias),
    )


def _above(importer: Path, n_dots: int, root: Path) -> list[Path]:
    """The folder that a relative import's dots lead to, if it lies in `root`."""
    parents = list(importer.parents)
    base = parents[n_dots - 1] if n_dots <= len(parents) else None
    return [base] if base is not None and base.is_relative_to(root) else []


def _import_places(root: Path, importer: Path | None) -> Iterator[Path]:
    """`root` and the folders on the way down to the importer, with their `SOURCE_FOLDERS`."""
    parents = [] if importer is None else importer.parents
    below = [folder for folder in parents if folder != root and folder.is_relative_to(root)]
    for place in (root, *reversed(below)):
        yield place
        yield from (place / folder for folder in SOURCE_FOLDERS)


def _is_name(part: str) -> bool:
    return part.isidentifier() and not keyword.iskeyword(part)
