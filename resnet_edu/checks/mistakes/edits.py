"""The edits that mistakes are made of. Each takes a program and the prefix of a block in it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from resnet_edu.checks.contract import Edit, Mistake
from resnet_edu.checks.program import NotHereError, Op, Program


def drop(name: str) -> Edit:
    """Leave an operation out."""
    return lambda p, b: p.drop(b + name)


def change(name: str, **options: Any) -> Edit:
    """Other settings for an operation."""
    return lambda p, b: p.change(b + name, **options)


def before(name: str, kind: str, index: int = 0, **options: Any) -> Edit:
    """A new operation before the given input of one."""

    def edit(p: Program, b: str) -> Program:
        return p.before(b + name, Op(f"{b}{name}<{kind}{index}{options.get('fn', '')}", kind, (), "", options), index)

    return edit


def after(name: str, kind: str, **options: Any) -> Edit:
    """A new operation behind one."""

    def edit(p: Program, b: str) -> Program:
        return p.after(b + name, Op(f"{b}{name}>{kind}{options.get('fn', '')}", kind, (), "", options))

    return edit


def rewire(name: str, index: int, source: str) -> Edit:
    """Another input for an operation."""
    return lambda p, b: p.rewire(b + name, index, b + source)


def all_of(*edits: Edit) -> Edit:
    """One after the other, each of them."""

    def edit(p: Program, b: str) -> Program:
        for one in edits:
            p = one(p, b)
        return p

    return edit


def any_of(*edits: Edit) -> Edit:
    """One after the other, those that can be made, at least one."""

    def edit(p: Program, b: str) -> Program:
        made = False
        for one in edits:
            try:
                p, made = one(p, b), True
            except NotHereError:
                continue
        if not made:
            raise NotHereError("none of them")
        return p

    return edit


def every(kind: str, inside: str = "", **options: Any) -> Edit:
    """Other settings for every operation of one kind (in a network, outside its blocks too)."""

    def edit(p: Program, b: str) -> Program:
        names = [op.name for op in p.ops if op.kind == kind and op.name.startswith(b) and inside in op.name]
        if not names:
            raise NotHereError(kind)
        for name in names:
            p = p.change(name, **options)
        return p

    return edit


def everywhere(kind: str, **options: Any) -> Edit:
    """As every, once for a whole network."""
    edit = every(kind, **options)
    return lambda p, b: edit(p, "")


def swap_order(first: str, second: str) -> Edit:
    """Two unary operations in a row change places; the second keeps its name and settings."""

    def edit(p: Program, b: str) -> Program:
        one, two = p.op(b + first), p.op(b + second)
        if two.inputs[0] != one.name:
            raise NotHereError(second)
        ops = []
        for op in p.ops:
            if op is one:
                ops.append(replace(two, inputs=one.inputs))
            elif op is two:
                ops.append(replace(one, inputs=(two.name,)))
            else:
                ops.append(replace(op, inputs=tuple(one.name if i == two.name else i for i in op.inputs)))
        return Program(tuple(ops), p.blocks)

    return edit


def but(mistakes: Iterable[Mistake], *names: str) -> list[Mistake]:
    """Those of other names: elsewhere they are the same as another one, or no mistake."""
    return [mistake for mistake in mistakes if mistake.name not in names]
