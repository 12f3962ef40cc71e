"""Compilation of kernels by numba, which is told what it cannot know of them.

A kernel makes no arrays, as a rule: its caller holds those that it is given. Its indices are never negative
(``tests/test_kernels.py``). Most kernels are called by kernels alone, many with constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from numba.core import ir
from numba.core import types as _types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.ir_utils import mk_unique_var
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NopythonRewrites
from numba.core.typing import signature

__all__ = ["KernelDispatcher"]

types: Final[Any] = _types

_ROOM = {"zeros", "empty", "full"}
"""Functions of numpy that make arrays."""


class KernelDispatcher(CPUDispatcher):  # type: ignore[misc]
    """A kernel, to be compiled when it is called.

    function : the kernel, as plain Python.
    cache    : where its compiled forms are kept.
    inlined  : true to inline it into the kernels that call it.

    Kernels call a form of their own, ``inner``. That of numba would be compiled for each constant argument,
    with code that unpacks Python's objects; optimised, and again as a part of each of its callers.

    References to arrays are counted only where a function makes some: an atomic operation for each array at
    each call would take four fifths of the time.
    """

    def __init__(self, function: Callable[..., Any], cache: Any, *, inlined: bool) -> None:
        options = {
            "nopython": True,
            "nogil": True,
            "boundscheck": None,
            "forceinline": inlined,
            "no_cfunc_wrapper": True,
            "_nrt": not _ROOM.isdisjoint(function.__code__.co_names),
        }
        super().__init__(function, targetoptions=options, pipeline_class=_Compiler)
        self._cache = cache
        options = options | {"no_cpython_wrapper": True}
        self.inner = CPUDispatcher(function, targetoptions=options, pipeline_class=_PartCompiler)

    def get_call_template(self, args: Sequence[Any], kws: dict[str, Any]) -> Any:
        """Resolve the call of a kernel by a kernel."""
        return self.inner.get_call_template(tuple(map(types.unliteral, args)), kws)

    def get_overload(self, sig: Any) -> Any:
        """Give the compiled form that a kernel calls."""
        return self.inner.get_overload(sig)


# --- passes ----------------------------------------------------------------------------------------


@register_pass(mutates_CFG=False, analysis_only=False)
class _UnsignedIndices(FunctionPass):  # type: ignore[misc]
    """Takes indices as unsigned: no access asks whether its index is negative, to count from the end."""

    _name = "unsigned_indices"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        for block in state.func_ir.blocks.values():
            body: list[Any] = []
            for statement in block.body:
                body += _unsigned(statement, state)
            block.body = body
        return True


def _unsigned(statement: Any, state: Any) -> list[Any]:
    """A statement; one that takes an element of an array, after the conversion of its index."""
    is_load = isinstance(statement, ir.Assign) and (
        isinstance(statement.value, ir.Expr) and statement.value.op == "getitem"
    )
    if not is_load and not isinstance(statement, ir.SetItem):
        return [statement]
    access = statement.value if is_load else statement
    array = access.value if is_load else access.target
    signed = state.typemap[access.index.name]
    unsigned = _unsigned_type(signed)
    if unsigned is None or not isinstance(state.typemap[array.name], types.Array):
        return [statement]
    scope, loc = access.index.scope, statement.loc
    index = ir.Var(scope, mk_unique_var("$unsigned"), loc)
    state.typemap[index.name] = unsigned
    conversion = ir.Assign(ir.Expr.cast(access.index, loc), index, loc)
    was = state.calltypes[access]
    if is_load:
        load = ir.Expr.getitem(array, index, loc)
        state.calltypes[load] = signature(was.return_type, was.args[0], unsigned)
        return [conversion, ir.Assign(load, statement.target, loc)]
    store = ir.SetItem(array, index, statement.value, loc)
    state.calltypes[store] = signature(was.return_type, was.args[0], unsigned, was.args[2])
    return [conversion, store]


def _unsigned_type(index: Any) -> Any:
    """The unsigned type of an index, or of several; None for other ones, which are slices."""
    if isinstance(index, types.Integer):
        return types.uint64
    if isinstance(index, types.BaseTuple) and all(isinstance(one, types.Integer) for one in index):
        return types.UniTuple(types.uint64, len(index))
    return None


@register_pass(mutates_CFG=False, analysis_only=False)
class _AsPart(FunctionPass):  # type: ignore[misc]
    """Chooses the library for code that is only a part of other code."""

    _name = "as_part"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return False


class _Compiler(CompilerBase):  # type: ignore[misc]
    """Passes that compile a kernel."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_UnsignedIndices, NopythonRewrites)
        self._add(passes)
        passes.finalize()
        return [passes]

    def _add(self, passes: Any) -> None:
        """Add further passes."""


class _PartCompiler(_Compiler):
    """Passes that compile a kernel for other kernels."""

    def _add(self, passes: Any) -> None:
        passes.add_pass_after(_AsPart, _UnsignedIndices)


# --- code that is a part of other code -------------------------------------------------------------


class _PartLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is optimised and translated as a part of other code, never by itself."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    @property
    def codegen(self) -> Any:
        return _Detached()


class _Detached:
    """Stands in for the engine that holds machine code, where there is none."""

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: globals are set where they are linked into code that runs."""
