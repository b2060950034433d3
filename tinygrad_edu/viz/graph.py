"""`Graph`: what ``tensor.graph()`` returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import Variable
from tinygrad_edu.viz.options import OPTIONS, Options, reasons, words
from tinygrad_edu.viz.output import Output
from tinygrad_edu.viz.queries import Index
from tinygrad_edu.viz.structure import GraphEdge, GraphNode, Scope, structure

if TYPE_CHECKING:
    from tinygrad_edu.viz.lint import Findings
    from tinygrad_edu.viz.receipt import Receipt


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Graph(Output):
    """The recorded graph that a tensor is the result of, as it is now: a view that later changes do not reach.

    Parameters
    ----------
    tensor: the result to look at. One that was not recorded is drawn alone.
    show: what to write beside each tensor: "shape", "dtype", "value", "grad", "grad_norm"; and beside each operation: "time" of
        its forward, "memory" that it keeps for backward. Nobody keeps values, so they are computed again, and left out where an
        array is gone or has changed since. Gradients are those of ``tensor``; where they cannot be computed, because it is no
        scalar or its graph was released, only leaves have one, their ``.grad``. Nothing is changed by looking.
    highlight: tensors, or vertices of the recorded graph, to draw in red; as a dictionary, each with the reason, which is written
        beside it.
    options: how it is drawn: ``detail``, ``depth``, ``max_nodes``, ``direction`` and ``theme``; see `Tensor.graph`.

    ``nodes`` and ``edges`` hold the graph as data, in the order of the program: an operation follows its inputs, and is followed by
    its result. They have the same names and stand in the same order in every process. What is asked of a graph most often has a
    method; for the rest, there is `networkx`. Raises `ArgumentError` when an option has a value that it does not know.
    Counterparts: ``torchviz.make_dot``, ``torch.fx.Graph``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(2.0, requires_grad=True, name="x")
    >>> graph = (x * 3 + tg.sin(x)).graph(show=("value",))
    >>> graph
    Graph(3 operations, 5 tensors)
    >>> print(graph)
    t3 value 6.909 = +(t1, t2)
    ├─ t1 value 6 = ×(x value 2, 3)
    t2 value 0.9093 = sin(x)
    >>> [node.op for node in graph.nodes if node.kind == "op"]
    ['multiply', 'sin', 'add']
    >>> graph.nodes[0].label
    'x\\nvalue 2'
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    show: tuple[str, ...]
    options: Options
    root: Variable | None = field(compare=False)  # None for a part of a graph, and for a comparison of two
    _index: list[Index] = field(compare=False)

    def __init__(
        self,
        tensor: Variable,
        *,
        show: str | Iterable[str] = ("shape",),
        highlight: Mapping[Any, str] | Iterable[Any] | None = None,
        **options: Any,
    ) -> None:
        known = words(show)
        how = Options(**options)
        nodes, edges = structure(tensor, frozenset(known), reasons(highlight))
        self._fill(nodes=nodes, edges=edges, show=known, options=how, root=tensor)

    def _fill(self, **fields: Any) -> None:
        for name, value in {**fields, "_index": []}.items():
            object.__setattr__(self, name, value)

    def _with(self, **changes: Any) -> Graph:
        """Another graph, that differs in these fields."""
        graph = object.__new__(Graph)
        graph._fill(**{name: changes.get(name, getattr(self, name)) for name in ("nodes", "edges", "show", "options", "root")})
        return graph

    # ------------------------------------------------------------------------------------------------------- as data

    @property
    def _lookup(self) -> Index:
        """Nodes by name and their neighbours, made when it is first asked for."""
        if not self._index:
            self._index.append(Index(self.nodes, self.edges))
        return self._index[0]

    def __getitem__(self, key: str | GraphNode | Variable) -> GraphNode:
        """The node with this id, or of this tensor, or with this name if only one has it.

        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor(2.0, requires_grad=True, name="x")
        >>> graph = tg.sin(x).graph()
        >>> graph["o1"].op, graph[x].id, graph["x"].role
        ('sin', 'i1', 'leaf')
        """
        return self._lookup.node(key)

    def find(self, **facts: Any) -> tuple[GraphNode, ...]:
        """The nodes with these attributes, in the order of the program. Raises `ArgumentError` for what is none.

        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> graph = (x * tg.sin(x) * 2).sum().graph()
        >>> [node.id for node in graph.find(op="multiply")]
        ['o2', 'o3']
        >>> [node.name for node in graph.find(role="leaf", shape=(2,))]
        ['x']
        """
        unknown = [name for name in facts if name not in GraphNode.__dataclass_fields__]
        if unknown:
            raise ArgumentError(
                f"find({', '.join(unknown)}): a node has no such attribute; it has {', '.join(GraphNode.__dataclass_fields__)}"
            )
        return tuple(node for node in self.nodes if all(getattr(node, name) == value for name, value in facts.items()))

    def predecessors(self, node: str | GraphNode | Variable) -> tuple[GraphNode, ...]:
        """Where a node's data come from: an operation's operands, in their order, or the operation that made a tensor.

        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor(2.0, requires_grad=True, name="x")
        >>> graph = (3 - x).graph()
        >>> [node.label for node in graph.predecessors("o1")]
        ['3', 'x\\n()']
        """
        return self._lookup.before(node)

    def successors(self, node: str | GraphNode | Variable) -> tuple[GraphNode, ...]:
        """Where a node's data go, an operation that takes them twice twice: a tensor's uses, or an operation's result.

        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor(2.0, requires_grad=True, name="x")
        >>> [node.id for node in (x * x + x).graph().successors(x)]
        ['o1', 'o1', 'o2']
        """
        return self._lookup.after(node)

    def between(self, source: str | GraphNode | Variable, target: str | GraphNode | Variable) -> Graph:
        """The part of the graph through which one tensor influences another, with the operands that come from outside. Raises
        `ArgumentError` when there is no path.

        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor(2.0, requires_grad=True, name="x")
        >>> h = tg.sin(x)
        >>> [node.op for node in (tg.exp(x) + tg.sqrt(h) * x).graph().between(h, "t5").nodes if node.op]
        ['sqrt', 'multiply', 'add']
        """
        nodes, edges = self._lookup.between(source, target)
        return self._with(nodes=tuple(nodes), edges=tuple(edges), root=None)

    @property
    def modules(self) -> dict[Scope, tuple[GraphNode, ...]]:
        """The nodes of every module, those of the modules inside it included, by the names from the outermost on.

        >>> import numpy as np
        >>> import tinygrad_edu as tg
        >>> net = tg.nn.Sequential(tg.nn.Affine(3, 2), tg.nn.ReLU())
        >>> list(net(np.ones((5, 3))).graph().modules)
        [('Sequential',), ('Sequential', '0: Affine'), ('Sequential', '1: ReLU')]
        """
        found: dict[Scope, list[GraphNode]] = {}
        for node in self.nodes:
            for depth in range(len(node.scope)):
                found.setdefault(node.scope[: depth + 1], []).append(node)
        return {scope: tuple(nodes) for scope, nodes in found.items()}

    def redrawn(self, **options: Any) -> Graph:
        """The same graph, to be drawn with other options.

        >>> import tinygrad_edu as tg
        >>> tg.Tensor(1.0).graph().redrawn(theme="dark").options.theme
        'dark'
        """
        return self._with(options=replace(self.options, **_options(options)))

    # ---------------------------------------------------------------------------------------------- backward, explained

    def steps(self, gradient: Any = None) -> Receipt:
        """Backward, step by step: for each operation that it visits the rule, the cotangent that comes in, what goes out to each
        operand, and the running sum where a tensor is used twice. To print, compare, replay, write as JSON, and to draw as a page
        that goes through forward and backward: ``graph.steps().render("steps.html")``, or ``graph.render("steps.html")``.

        ``gradient`` is that of the result, as in ``backward(gradient)``; 1 for one element. It is the engine's own pass that is
        noted, and no ``.grad`` is touched. Raises what ``backward()`` raises: `GraphError` where there is nothing to differentiate,
        `ReleasedError` after a ``backward()`` that did not retain the graph.

        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor(2.0, requires_grad=True, name="x")
        >>> print((x * 3).graph().steps())
        Backward from t1 in 1 steps. g is an operation's cotangent, ∂L/∂t1 = 1.
          1  o1 multiply  y = a b   g = 1
               a  ∂L/∂a = g b   3 to x (i1)
        Gradients: x (i1) 3
        """
        from tinygrad_edu.viz.receipt import receipt

        return receipt(self, self._recorded("steps"), gradient)

    def to_numpy_source(self, gradient: Any = None) -> str:
        """The forward and the backward computation as a NumPy program that runs without this library: a module with one function,
        ``value_and_gradients``, of the inputs by their names (small constants without one stand in the program), which returns the
        value and a dictionary of the gradients. It computes the same numbers, bit for bit, because it is no translation: the
        operations and the engine run once more, and what they ask NumPy to do is written down. So it holds for the shapes and
        dtypes of the graph, and for the branches that were taken, as where an operation looks whether a number is infinite.
        Operations that SciPy computes need SciPy.

        ``gradient`` is that of the result, as in ``backward(gradient)``. Raises what ``backward()`` raises, and `GraphError` where
        an operation is random or is one node for a whole computation, as those of ``checkpoint`` and ``custom_vjp``.

        >>> import tinygrad_edu as tg
        >>> x, w = tg.Tensor(3.0, requires_grad=True, name="x"), tg.Tensor(2.0, name="w")
        >>> source = (x * w).graph().to_numpy_source()
        >>> print(source[source.index("        # o1") :])
                # o1 multiply: y = a b
                v1 = np.multiply(x, w)
                t1 = np.asarray(v1)
                g_t1 = np.float64(1.0)
                # backward through o1 multiply
                g_x = g_t1 * w
                return t1, {'x': g_x}
        <BLANKLINE>
        """
        from tinygrad_edu.viz.numpy_source import numpy_source

        return numpy_source(self, self._recorded("to_numpy_source"), gradient)

    def lint(self, parameters: Any = ()) -> Findings:
        """What in the graph is known to go wrong: a logarithm of a softmax, log(p + ε), a softmax over the whole batch, an
        exponential without a shift, a root or a length near 0, a ``where`` with an unsafe branch, (N,) against (N, 1), a jump of
        the dtype, integers that should be learnt, unused parameters, saturated sigmoids, dead ReLUs, a loss that grows with the
        batch. Each `Finding` names the node, says why, and what to write instead; print them all at once.

        ``parameters`` are those that should be in the graph: a module, or tensors. Checks that look at numbers are silent where
        ``backward()`` has released them.

        >>> import tinygrad_edu as tg
        >>> z = tg.Tensor([[2.0, 1.0]], requires_grad=True, name="z")
        >>> tg.log(tg.softmax(z)).graph().lint()[0].write
        'tg.log_softmax(z); or, with the loss, tg.softmax_cross_entropy(z, labels)'
        >>> print(tg.log_softmax(z).graph().lint())
        nothing found
        """
        from tinygrad_edu.viz.lint import lint

        return lint(self, self._recorded("lint"), parameters)

    def _recorded(self, method: str) -> Variable:
        """The tensor that the graph is of. Raises `ArgumentError`, in the name of a method, where it is of none."""
        if self.root is None:
            raise ArgumentError(f"{method}: this is a part of a graph, or a comparison of two; take it of the graph of a tensor")
        return self.root

    def __repr__(self) -> str:
        operations = sum(node.kind == "op" for node in self.nodes)
        return f"Graph({operations} operations, {len(self.nodes) - operations} tensors)"


def _options(given: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in given if name not in OPTIONS]
    if unknown:
        raise ArgumentError(f"redrawn({', '.join(unknown)}): there is no such option; there are {', '.join(OPTIONS)}")
    return given
