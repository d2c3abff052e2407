"""The faults that are put into the code, one at a time: signs, masks, indices, comparisons."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_OPERATORS: dict[type[ast.AST], Any] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Div(),
    ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(),
    ast.Mod: ast.Mult(),
    ast.Pow: ast.Mult(),
    ast.And: ast.Or(),
    ast.Or: ast.And(),
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
}

_FUNCTIONS = {
    "equal": "not_equal",
    "not_equal": "equal",
    "less": "less_equal",
    "less_equal": "less",
    "greater": "greater_equal",
    "greater_equal": "greater",
    "logical_and": "logical_or",
    "logical_or": "logical_and",
    "maximum": "minimum",
    "minimum": "maximum",
    "max": "min",
    "min": "max",
    "sum": "mean",
    "mean": "sum",
    "reduce_sum": "reduce_mean",
    "reduce_all": "reduce_any",
    "reduce_any": "reduce_all",
    "any": "all",
    "all": "any",
    "argmax": "argmin",
    "zeros": "ones",
    "ones": "zeros",
    "zeros_like": "ones_like",
    "ones_like": "zeros_like",
    "sigmoid": "tanh",
    "tanh": "sigmoid",
    "exp": "tanh",
    "log": "exp",
}
"""Functions by their names, and the ones that stand in for them."""


class Site(NamedTuple):
    """A place in a file at which one fault can be put."""

    line: int
    number: int  # of the node in `ast.walk`, which always goes the same way
    kind: str
    before: str
    after: str


Change = Callable[[ast.AST], ast.AST | None]
"""Gives the faulty node in the place of one, or None where the fault does not apply."""


def _operator(node: ast.AST) -> ast.AST | None:
    changed = copy.deepcopy(node)
    if isinstance(changed, ast.BinOp | ast.BoolOp):
        other = _OPERATORS.get(type(changed.op))
        if other is None:
            return None
        changed.op = other
        return changed
    if isinstance(changed, ast.Compare):
        changed.ops[0] = _OPERATORS[type(changed.ops[0])]
        return changed
    return None


def _sign(node: ast.AST) -> ast.AST | None:
    """A number or a condition without the sign before it; of the last axis, the one before it.

    The last axis of two is axis 1: that would be no fault.
    """
    if getattr(node, "is_last_axis", False):
        return ast.UnaryOp(ast.USub(), ast.Constant(2))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        return node.operand
    return None


def _number(node: ast.AST) -> ast.AST | None:
    """A number, larger by 1; a truth value, turned round."""
    if not isinstance(node, ast.Constant):
        return None
    if isinstance(node.value, bool):
        return ast.Constant(not node.value)
    if isinstance(node.value, int | float):
        return ast.Constant(node.value + 1)
    return None


def _function(node: ast.AST) -> ast.AST | None:
    """Another function of the same module."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        other = _FUNCTIONS.get(node.func.attr)
        if other is None:
            return None
        changed = copy.deepcopy(node)
        changed.func.attr = other  # type: ignore[attr-defined]
        return changed
    return None


def _choice(node: ast.AST) -> ast.AST | None:
    """The two values of `where` exchanged."""
    is_where = (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "where"
        and len(node.args) == 3
    )
    if not is_where:
        return None
    changed = copy.deepcopy(node)
    condition, first, second = changed.args  # type: ignore[attr-defined]
    changed.args = [condition, second, first]  # type: ignore[attr-defined]
    return changed


def _condition(node: ast.AST) -> ast.AST | None:
    """A branch that is taken where it should not be."""
    if isinstance(node, ast.If | ast.IfExp) and isinstance(node.test, ast.Name | ast.Attribute):
        changed = copy.deepcopy(node)
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        return changed
    return None


KINDS: dict[str, Change] = {
    "operator": _operator,
    "sign": _sign,
    "number": _number,
    "function": _function,
    "choice": _choice,
    "condition": _condition,
}


def sites(source: str) -> list[Site]:
    """All places in a file, in the order of its lines.

    Left out are annotations, the texts of errors, what only type checkers read, and what has no
    other effect than on time and memory: batches that are made ahead, `zip`'s check of lengths, and
    the values of constants such as the size of a cache. The sign of a constant is changed.
    """
    tree = _parsed(source)
    left_out = set(_not_run(tree))
    constants = set(_in_constants(tree))
    found = []
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in left_out:
            continue
        for kind, change in KINDS.items():
            if kind == "number" and id(node) in constants:
                continue
            changed = change(node)
            if changed is not None:
                place = _line(node)
                found.append(Site(place, number, kind, _text(node), _text(changed)))
    return sorted(found)


def mutated(source: str, site: Site) -> ast.Module:
    """The tree of a file with one fault in it."""
    tree = _parsed(source)
    nodes = list(ast.walk(tree))
    node = nodes[site.number]
    changed = KINDS[site.kind](node)
    assert changed is not None

    for parent in nodes:
        for name, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, name, changed)
            elif isinstance(value, list) and any(item is node for item in value):
                setattr(parent, name, [changed if item is node else item for item in value])
    return ast.fix_missing_locations(tree)


def _parsed(source: str) -> ast.Module:
    """The tree of a file, in which the -1 of `axis=-1` and of `x.shape[-1]` is marked."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        axis = None
        if isinstance(node, ast.keyword) and node.arg == "axis":
            axis = node.value
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".shape"):
            axis = node.slice
        if axis is not None and ast.unparse(axis) == "-1":
            axis.is_last_axis = True  # type: ignore[attr-defined]
    return tree


def _not_run(tree: ast.Module) -> Iterator[int]:
    """The identities of the nodes that no test can notice."""
    for node in ast.walk(tree):
        for part in _silent_parts(node):
            for inner in ast.walk(part):
                yield id(inner)


def _in_constants(tree: ast.Module) -> Iterator[int]:
    """The identities of the nodes that give constants their values: NAME = ..."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _text(node.targets[0]).isupper():
            for inner in ast.walk(node.value):
                yield id(inner)


def _silent_parts(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.AnnAssign):
        yield node.annotation
    if isinstance(node, ast.arg) and node.annotation is not None:
        yield node.annotation
    if isinstance(node, ast.FunctionDef) and node.returns is not None:
        yield node.returns
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
        yield node
    if isinstance(node, ast.If) and _text(node.test) == "TYPE_CHECKING":
        yield node
    if isinstance(node, ast.keyword) and node.arg == "strict":
        yield node
    if isinstance(node, ast.Call) and _text(node.func).endswith(".prefetch"):
        yield from node.args


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _text(node: ast.AST) -> str:
    """The code of a node, of a statement its first line."""
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[0]
