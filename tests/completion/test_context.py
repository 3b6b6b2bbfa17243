"""What of other files gets into a prompt; and what never does, wherever it is planted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.context import Contexts
from egcfg_lsp.completion.engine import Tools, circumstances, ladder
from egcfg_lsp.completion.project import project_at
from egcfg_lsp.completion.requests import reason_not_to_ask
from egcfg_lsp.settings import Settings
from tests.support.cursor import at_cursor
from tests.support.scripted import ScriptedModel, ScriptedSandbox

MARKED = (
    "from shop.rates import RATES, convert as exchange\nfrom shop import Item, helper\n"
    "import shop.money as money\n\n\n"
    "def total(items: list[Item], currency):\n    s = exchange(money.zero(), currency)\n    |\n"
)
FILES = {
    "pyproject.toml": "",
    "shop/__init__.py": "from shop.items import Item\nfrom .tools import helper\n",
    "shop/items.py": "class Item:\n    price: float\n    def worth(self) -> float: return 1\n",
    "shop/tools.py": 'def helper(x):\n    """Helps."""\n    return x\n\ndef unused(): ...\n',
    "shop/rates.py": "RATES = {}\ndef convert(amount, currency): return amount\n",
    "shop/money.py": "def zero() -> float: return 0.0\ndef one(): return 1\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def request_in(root: Path, marked: str = MARKED, settings: Settings | None = None) -> Request:
    text, offset = at_cursor(marked)
    return Request(text, offset, root / "shop/orders.py", root, settings or Settings())


def files_of(request: Request, contexts: Contexts | None = None) -> dict[str, str]:
    tools = Tools(ScriptedModel(), ScriptedSandbox(), contexts or Contexts())
    return dict(circumstances(request, tools).files)


def test_signatures_of_used_names_follow_imports_aliases_and_reexports(shop: Path) -> None:
    assert files_of(request_in(shop)) == {
        "shop/rates.py": "def convert(amount, currency): ...",
        "shop/items.py": "class Item:\n    price: float\n    def worth(self) -> float: ...",
        "shop/money.py": "def zero() -> float: ...",
    }


def test_relative_imports(shop: Path) -> None:
    marked = "from . import tools\nfrom .rates import *\n\ndef f(x):\n    convert(tools.helper(x))\n    |\n"
    assert files_of(request_in(shop, marked)) == {
        "shop/tools.py": 'def helper(x):\n    """Helps."""',
        "shop/rates.py": "def convert(amount, currency): ...",
    }


def test_context_holds_still_while_the_user_stays_in_the_function(shop: Path) -> None:
    contexts = Contexts()
    first = files_of(request_in(shop), contexts)
    typed = MARKED.replace("|", "helper(|")
    assert files_of(request_in(shop, typed), contexts) == first
    elsewhere = MARKED + "\n\ndef other():\n    pass\n"
    moved = elsewhere.replace("|", "helper(1)").replace("    pass", "    helper(|")
    assert "shop/tools.py" in files_of(request_in(shop, moved), contexts)


CHUNK = "def visited(a):\n    b = a\n    return b\n"


def test_chunks_of_visited_places(shop: Path) -> None:
    contexts = Contexts()
    path = shop / "shop/visited.py"
    path.write_text(CHUNK)
    contexts.remember(path, CHUNK, 0, project_at(shop), 16)
    assert files_of(request_in(shop), contexts)["shop/visited.py"] == CHUNK
    off = Settings(other_files=0)
    assert files_of(request_in(shop, settings=off), contexts) == {}


def test_own_file_is_no_chunk(shop: Path) -> None:
    contexts = Contexts()
    contexts.remember(shop / "shop/orders.py", CHUNK, 0, project_at(shop), 16)
    assert "shop/orders.py" not in files_of(request_in(shop), contexts)


SECRET = "hunter2"
PLANTED = (
    ".env", ".env.py", "shop/secrets.py", "shop/credentials.py", "id_rsa", "server.key",
    "ignored/deep/keys.py", "shop/local_settings.py", "private/notes.py", "secrets/__init__.py",
)  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
async def test_secrets_are_never_in_a_prompt(shop: Path, planted: str) -> None:
    """Planted as an imported name, as a test, as a visited chunk, and as the buffer itself."""
    (shop / ".gitignore").write_text("ignored/\nlocal_settings.py\n")
    (shop / ".git").mkdir()
    settings = Settings(exclude=("private/",))
    path = shop / planted
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (
        f"PASSWORD = '{SECRET}'\ndef total(x='{SECRET}'):\n    return '{SECRET}'\n"
        f"def test_total():\n    assert total() == '{SECRET}'\n"
    )
    path.write_text(text)
    (path.parent / "test_orders.py").write_text("from shop.orders import total\n")
    module = ".".join(Path(planted).with_suffix("").parts).lstrip(".")
    marked = f"from {module or 'env'} import PASSWORD, total as t\n" + MARKED.replace(
        "exchange(", "t(PASSWORD, "
    )
    contexts, model = Contexts(), ScriptedModel(["    return s\n"])
    contexts.remember(path, text, 0, project_at(shop, settings.exclude), 16)
    contexts.remember(path, text, 0, project_at(shop), 16)
    request = request_in(shop, marked, settings)
    async for _ in ladder(request, Tools(model, ScriptedSandbox(), contexts)):
        pass
    assert model.prompts, "the model was asked"
    assert all(SECRET not in repr(prompt) for prompt in model.prompts)
    own = replace(request, path=path, text=text, offset=len(text))
    if path.suffix == ".py":
        assert reason_not_to_ask(own) is not None


def test_what_is_not_secret_is_found_there_too(shop: Path) -> None:
    """The control of the test above: the same file under an ordinary name is in the prompt."""
    (shop / "shop/plain.py").write_text(f"PASSWORD = '{SECRET}'\n")
    marked = "from shop.plain import PASSWORD\n\ndef f():\n    PASSWORD\n    |\n"
    assert SECRET in files_of(request_in(shop, marked))["shop/plain.py"]


def test_file_that_is_ignored_from_now_on_leaves_the_prompt_at_once(shop: Path) -> None:
    contexts = Contexts()
    assert "shop/money.py" in files_of(request_in(shop), contexts)
    (shop / ".git").mkdir()
    (shop / ".gitignore").write_text("money.py\n")
    assert "shop/money.py" not in files_of(request_in(shop), contexts)


def test_only_python_is_remembered(shop: Path) -> None:
    contexts = Contexts()
    contexts.remember(shop / "shop/notes.md", CHUNK, 0, project_at(shop), 16)
    assert "shop/notes.md" not in files_of(request_in(shop), contexts)


def test_contexts_may_be_used_from_several_threads(shop: Path) -> None:
    contexts = Contexts()

    def visit(i: int) -> None:
        path = shop / f"shop/visited{i}.py"
        path.write_text(CHUNK.replace("visited", f"visited{i}"))
        contexts.remember(path, path.read_text() * (i % 5 + 1), 0, project_at(shop), 4)
        files_of(request_in(shop, MARKED.replace("total", f"total{i}")), contexts)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visit, range(60)))
