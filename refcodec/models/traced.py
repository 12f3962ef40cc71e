"""Cuts of a network whose forward pass can be traced into a graph: head and tail are subgraphs."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import fx, nn

from refcodec.models.parts import WEIGHTED, Bundle, Crossing, Inputs, main_output, main_part

__all__ = ["Traced", "trace", "trace_between"]


def trace_between(module: nn.Module, first: str, second: str) -> fx.GraphModule | None:
    """The part of a network from the output of one module to that of another; None if it has no graph.

    Raises Crossing if something else than the first module's output reaches the second.
    """
    ends = [module.get_submodule(name) for name in (first, second)]
    try:
        graph = _Tracer(*ends).trace(module, concrete_args=_defaults(module))
    except Exception:  # any error that a forward pass raises for a proxy in place of a tensor
        return None
    found = [[node for node in graph.nodes if _called(module, node) is end] for end in ends]
    if [len(nodes) for nodes in found] != [1, 1]:
        return None
    (start,), (stop,) = found
    part = _needed([stop], stop=[start])
    if start not in part:
        raise Crossing(f"{second} does not depend on it")
    for node in graph.nodes:
        if node in part and node.op == "placeholder":
            raise Crossing(f"the input also reaches {second}, past {first}")
    return fx.GraphModule(module, _extract(graph, [start], stop))


def trace(
    module: nn.Module,
    layers: Sequence[str],
    inputs: Inputs,
    bundles: Sequence[Bundle],
    images: torch.Tensor,
    others: torch.Tensor,
) -> Traced | None:
    """Cut the graph of a network at one module, or at several; None if it has no graph.

    bundles        : the form of the output of each module.
    images, others : two different batches of inputs. A value that bypasses the modules and is the same for
                     both, such as the height of the images, becomes a constant of the tail.

    Raises Crossing if a value that depends on the images bypasses the modules.
    """
    targets = [module.get_submodule(layer) for layer in layers]
    tracer, known = _Tracer(*targets), _defaults(module)
    known.pop(inputs.mask, None)
    try:
        graph = tracer.trace(module, concrete_args=known)
    except Exception:  # any error that a forward pass raises for a proxy in place of a tensor
        return None
    found = [[node for node in graph.nodes if _called(module, node) is one] for one in targets]
    if any(len(nodes) != 1 for nodes in found):  # it runs once, but the graph takes another path
        return None
    cuts = [node for (node,) in found]
    return Traced(module, graph, cuts, inputs, bundles, images, others)


class Traced:
    """Head and tail as graphs; `refcodec.models.cut.Cut` documents their inputs and outputs.

    ``heads`` and ``tail_of`` are of cuts at several modules: a feature for each, in their order.
    """

    replays_head = False

    def __init__(
        self,
        module: nn.Module,
        graph: fx.Graph,
        cuts: Sequence[fx.Node],
        inputs: Inputs,
        bundles: Sequence[Bundle],
        images: torch.Tensor,
        others: torch.Tensor,
    ) -> None:
        source, *rest = (node for node in graph.nodes if node.op == "placeholder")
        masks = [node for node in rest if node.target == inputs.mask]
        self._inputs, self._bundles = inputs, bundles
        output = _main_node(graph)
        before = _dependents([source])
        after = _dependents(cuts) - {*cuts}
        needed = _needed([output], stop=cuts)
        for cut in cuts:
            if cut not in needed:
                raise Crossing(
                    "the output does not depend on it"
                    if len(cuts) == 1
                    else f"the output does not depend on {_place(cut)}, beside the others"
                )
        sides = [  # inputs of the tail besides the feature that depend on the images
            node
            for node in graph.nodes
            if node in needed & before - after - {*cuts}
            and any(user in after & needed for user in node.users)
        ]

        def part(inputs: Sequence[fx.Node], output: Any) -> fx.GraphModule:
            return fx.GraphModule(module, _extract(graph, inputs, output))

        self._sides = part([source, *masks], tuple(sides))
        known = inputs.masks(images).values()
        pairs = zip(sides, self._sides(images, *known), self._sides(others, *known), strict=True)
        crossing = [node for node, one, other in pairs if not _same(one, other)]
        if crossing:
            raise Crossing("; ".join(_describe(node, after & needed) for node in crossing[:3]))
        weighted = [
            node
            for node in graph.nodes
            if node in after & needed and isinstance(_called(module, node), WEIGHTED)
        ]
        self.classifier = _called(module, weighted[-1]) if weighted else None
        given = [*cuts, *sides, *masks]
        self._head = part([source, *masks], tuple(cuts))
        self._tail = part(given, output)
        self._representation = part(given, weighted[-1].args[0] if weighted else cuts[0])
        self._known: dict[tuple[torch.Size, torch.device], Sequence[Any]] = {}

    @property
    def head_state(self) -> dict[str, Any]:
        """Parameters and buffers that the head uses, by name."""
        found: dict[str, Any] = self._head.state_dict()
        return found

    def head(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Images to features."""
        (features,) = self.heads(images, mask)
        return features

    def heads(
        self, images: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Images to the features of each module."""
        found = self._head(images, *self._inputs.masks(images, mask).values())
        outputs = zip(self._bundles, found, strict=True)
        return tuple(bundle.unwrap(output) for bundle, output in outputs)

    def tail(self, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Features to output."""
        return self.tail_of([features], mask)

    def tail_of(
        self, features: Sequence[torch.Tensor], mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features of each module to output."""
        given = zip(self._bundles, features, strict=True)
        wrapped = [bundle.wrap(one) for bundle, one in given]
        return main_output(self._tail(*wrapped, *self._side_values(features[0], mask)))

    def representation(
        self, features: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features to the input of the last weighted layer."""
        (bundle,), sides = self._bundles, self._side_values(features, mask)
        found = self._representation(bundle.wrap(features), *sides)
        return torch.as_tensor(found if self.classifier else bundle.unwrap(found))

    def _side_values(self, features: torch.Tensor, mask: torch.Tensor | None) -> Sequence[Any]:
        """Further inputs of the tail, which depend on the images' size and number, and on masks, alone."""
        masks = self._inputs.masks(features, mask).values()
        if masks:
            return [*self._sides(self._inputs.blank(features), *masks), *masks]
        key = features.shape, features.device
        if key not in self._known:
            with (
                torch.inference_mode(False),
                torch.no_grad(),
            ):  # they are kept beyond the caller's mode
                self._known[key] = self._sides(self._inputs.blank(features))
        return self._known[key]


class _Tracer(fx.Tracer):
    """Traces into all modules but the targets, torch's own and layers derived from them, which stay whole."""

    def __init__(self, *targets: nn.Module) -> None:
        super().__init__()
        self._targets = targets

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if any(m is target for target in self._targets):
            return True
        holds_it = any(inner is target for inner in m.modules() for target in self._targets)
        if isinstance(m, WEIGHTED):
            return not holds_it
        return not holds_it and bool(super().is_leaf_module(m, module_qualified_name))


def _defaults(module: nn.Module) -> dict[str, Any]:
    """Default values of the optional arguments of a forward pass."""
    parameters = inspect.signature(module.forward).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def _called(module: nn.Module, node: fx.Node) -> nn.Module | None:
    return module.get_submodule(str(node.target)) if node.op == "call_module" else None


def _main_node(graph: fx.Graph) -> Any:
    """The node of the main output."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    return main_part(output.args[0], fx.Node)


# --- walking the graph -----------------------------------------------------------------------------


def _dependents(nodes: Iterable[fx.Node]) -> set[fx.Node]:
    """The nodes and all nodes that depend on them."""
    return _reach(nodes, lambda node: node.users)


def _needed(nodes: Iterable[fx.Node], stop: Sequence[fx.Node]) -> set[fx.Node]:
    """The nodes and all nodes that they depend on, except through the ``stop`` nodes."""
    return _reach(nodes, lambda node: () if node in stop else node.all_input_nodes)


def _reach(nodes: Iterable[fx.Node], neighbours: Any) -> set[fx.Node]:
    found: set[fx.Node] = set()
    queue = list(nodes)
    while queue:
        node = queue.pop()
        if node not in found:
            found.add(node)
            queue.extend(neighbours(node))
    return found


def _extract(graph: fx.Graph, inputs: Sequence[fx.Node], output: Any) -> fx.Graph:
    """The subgraph from the inputs to the output, which is a node or a tuple of nodes."""
    ends = list(output) if isinstance(output, tuple) else [output]
    needed = _needed(ends, stop=inputs)
    part = fx.Graph()
    copies = {node: part.placeholder(f"input_{i}") for i, node in enumerate(inputs)}
    for node in graph.nodes:
        if node in needed and node not in copies:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(fx.map_arg(output, copies.__getitem__))
    return part


# --- edges that bypass the cut ---------------------------------------------------------------------


def _same(one: Any, other: Any) -> bool:
    """True if a value is the same for two batches of images."""
    if isinstance(one, torch.Tensor):
        return bool(torch.equal(one, other))
    return bool(one == other)


def _describe(node: fx.Node, tail: set[fx.Node]) -> str:
    """Describe a graph edge that bypasses the cut: its source and its target."""
    (user, *_) = (user for user in node.users if user in tail)
    producer = "the input" if node.op == "placeholder" else f"the output of {_place(node)}"
    return f"{producer} also reaches {_place(user)}, past the cut"


def _place(node: fx.Node) -> str:
    """Name of a node: that of its module, or of the enclosing module and the function."""
    if node.op == "call_module":
        return str(node.target)
    if node.op == "output":
        return "the output"
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    name = node.target if isinstance(node.target, str) else node.target.__name__
    return ".".join([*stack[-1:], name])
