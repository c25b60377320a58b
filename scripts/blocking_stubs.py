"""catalog/blocking.pyi, from the source of the async classes: the same methods, which wait instead of being awaited.

What is reachable from `Catalog` is in it: a class of the package that some method gives, and that has coroutines or
chunks of its own. Values are what they are. A test holds that the file is what this prints.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "catalog"
HEAD = "# The signatures of the synchronous door. Made by scripts/blocking-stubs: do not edit.\n\n"
SYNC = {
    r"AsyncIterator\[pa\.RecordBatch\]": "pa.RecordBatchReader",  # what synchronous consumers of Arrow read
    "AsyncIterator": "Iterator",
    "AsyncGenerator": "Iterator",
    "AsyncIterable": "Iterable",
    "AbstractAsyncContextManager": "AbstractContextManager",
}
ITERATED = ("__aiter__", "__anext__")  # who has one is iterated over: anew, or on
Method = ast.FunctionDef | ast.AsyncFunctionDef


def stubs() -> str:
    """The text of the file."""
    modules = {path.stem: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.glob("*.py"))}
    classes = {
        node.name: (module, node)
        for module, tree in modules.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    found, waiting, used = {}, ["Catalog"], set[str]()
    while waiting:
        name = waiting.pop()
        parents = _ancestors(name, classes)
        node = _merged(classes[name][1], [parent for _, parent in parents])
        used |= {classes[name][0], *(module for module, _ in parents)}
        found[name] = _class(node)
        named = set(re.findall(r"(?<![\w.])\w+", " ".join(_returns(node))))
        waiting += [each for each in sorted(named & set(classes)) if each not in found and _is_alive(classes[each][1])]
    opens = next(node for node in modules["catalog"].body if isinstance(node, Method) and node.name == "connect")
    body = "\n\n".join([*(found[name] for name in sorted(found)), _method(opens)])
    imports = _imports([(module, modules[module]) for module in sorted(used)], body, set(found))
    return _formatted(f"{HEAD}{imports}\n\n{body}\n")


def _ancestors(name: str, classes: Mapping[str, tuple[str, ast.ClassDef]]) -> list[tuple[str, ast.ClassDef]]:
    """The classes of the package that a class is made of, with their modules; the furthest first."""
    bases = [base.id for base in classes[name][1].bases if isinstance(base, ast.Name) and base.id in classes]
    return [found for base in bases for found in (*_ancestors(base, classes), classes[base])]


def _merged(node: ast.ClassDef, parents: list[ast.ClassDef]) -> ast.ClassDef:
    """The class with all that it has of its parents."""
    return ast.ClassDef(node.name, [], [], [each for one in (*parents, node) for each in one.body], [])


def _is_alive(node: ast.ClassDef) -> bool:
    return any(
        isinstance(each, ast.AsyncFunctionDef) and (not each.name.startswith("_") or each.name in ITERATED)
        for each in node.body
    )


def _public(node: ast.ClassDef) -> Iterator[Method]:
    for each in node.body:
        if isinstance(each, Method) and (not each.name.startswith("_") or _is_iteration(each)):
            yield each


def _is_iteration(node: Method) -> bool:
    """Of what gives itself (`__aiter__`) and each item (`__anext__`), or a generator by itself, the telling one."""
    return node.name in ITERATED and isinstance(node, ast.AsyncFunctionDef)


def _returns(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(each.returns) for each in _public(node) if each.returns]


def _class(node: ast.ClassDef) -> str:
    made = next((each for each in node.body if isinstance(each, Method) and each.name == "__init__"), None)
    lines = [*_fields(made)] if isinstance(made, ast.FunctionDef) else []
    lines += [_method(each) for each in _public(node)]
    return f"class {node.name}:\n" + "\n".join(f"    {line}" for text in lines for line in text.splitlines())


def _fields(made: ast.FunctionDef) -> Iterator[str]:
    """Of each `self.info = info` without an underscore: the field, with the parameter's type."""
    types = {each.arg: ast.unparse(each.annotation) for each in made.args.args if each.annotation}
    for each in made.body:
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Name):
            target = each.targets[0]
            if isinstance(target, ast.Attribute) and target.attr[0] != "_" and each.value.id in types:
                yield f"{target.attr}: {types[each.value.id]}"


def _method(node: Method) -> str:
    names = {ast.unparse(each) for each in node.decorator_list}
    gives = _waiting(ast.unparse(node.returns).strip("'")) if node.returns else "None"
    if node.name == "__aiter__":
        return f"def __iter__(self) -> {gives}: ..."
    if node.name == "__anext__":
        return f"def __iter__(self) -> Iterator[{gives}]: ..."
    if "asynccontextmanager" in names:
        gives = gives.replace("Iterator", "AbstractContextManager", 1)
    kept = "@property\n" if "property" in names else ""
    return f"{kept}def {node.name}({_arguments(node.args)}) -> {gives}: ..."


def _arguments(given: ast.arguments) -> str:
    shown = ast.parse(f"def f({ast.unparse(given)}): ...").body[0]
    assert isinstance(shown, ast.FunctionDef)  # noqa: S101 — that is what it is
    shown.args.defaults = [ast.Constant(...) for _ in shown.args.defaults]
    shown.args.kw_defaults = [each and ast.Constant(...) for each in shown.args.kw_defaults]
    return _waiting(ast.unparse(shown.args))


def _waiting(annotation: str) -> str:
    annotation = re.sub(r"\bAsyncGenerator\[(.*), None\]$", r"Iterator[\1]", annotation)
    for name, sync in SYNC.items():
        annotation = re.sub(name, sync, annotation)
    return annotation


def _imports(trees: list[tuple[str, ast.Module]], body: str, own: set[str]) -> str:
    """Where the names of the body come from: as the modules import them, or from the modules themselves."""
    wanted = set(re.findall(r"[A-Za-z_]\w*", body)) - own
    lines = {
        f"from collections.abc import {name}" for name in SYNC.values() if name.startswith("Iter") and name in wanted
    }
    lines |= {"from contextlib import AbstractContextManager"} if "AbstractContextManager" in wanted else set()
    for module, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                lines |= {f"import {each.name} as {each.asname}" for each in node.names if each.asname in wanted}
            if isinstance(node, ast.ImportFrom):
                source = "." * node.level + (node.module or "")
                lines |= {f"from {source} import {each.name}" for each in node.names if each.name in wanted}
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name in wanted:
                lines.add(f"from .{module} import {node.name}")
    return "\n".join(sorted(lines))


def _formatted(text: str) -> str:
    for command in (["check", "--select=I,F401", "--fix-only", "--quiet"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename=catalog/blocking.pyi", "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, check=True, encoding="utf-8").stdout
    return text


if __name__ == "__main__":
    sys.stdout.write(stubs())
