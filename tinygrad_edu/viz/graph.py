"""`Graph`: what ``tensor.graph()`` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import Variable
from tinygrad_edu.viz.drawing import draw
from tinygrad_edu.viz.structure import GraphEdge, GraphNode, structure

if TYPE_CHECKING:
    from pathlib import Path

    import graphviz  # type: ignore[import-untyped]

    from tinygrad_edu.viz.lint import Findings
    from tinygrad_edu.viz.receipt import Receipt

SHOW = ("shape", "dtype", "value", "grad")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Graph:
    """The recorded graph that a tensor is the result of, as it is now: a view that later changes do not reach.

    Parameters
    ----------
    tensor: the result to look at. One that was not recorded is drawn alone.
    show: what to write beside each tensor: "shape", "dtype", "value", "grad". Nobody keeps values, so they are computed again, and
        left out where an array is gone or has changed since. Gradients are those of ``tensor``; where they cannot be computed,
        because it is no scalar or its graph was released, only leaves have one, their ``.grad``. Nothing is changed by looking.
    highlight: vertices of the recorded graph to draw in red, each with the reason, which is written beside it.

    ``nodes`` and ``edges`` hold the graph as data, in the order of the program: an operation follows its inputs, and is followed by
    its result. Raises `ArgumentError` when ``show`` has another word. Counterpart: ``torchviz.make_dot``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(2.0, requires_grad=True, name="x")
    >>> graph = (x * 3 + tg.sin(x)).graph(show=("value",))
    >>> graph
    Graph(3 operations, 5 tensors)
    >>> [node.op for node in graph.nodes if node.kind == "op"]
    ['multiply', 'sin', 'add']
    >>> graph.nodes[0].label
    'x\\nvalue 2'
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    show: tuple[str, ...]
    root: Variable = field(compare=False)

    def __init__(self, tensor: Variable, *, show: tuple[str, ...] = ("shape",), highlight: Mapping[Any, str] | None = None) -> None:
        words = (show,) if isinstance(show, str) else tuple(show)
        unknown = [repr(word) for word in words if word not in SHOW]
        if unknown:
            known = ", ".join(map(repr, SHOW))
            raise ArgumentError(f"graph(show={words!r}): {', '.join(unknown)} cannot be shown; the words are {known}")
        nodes, edges = structure(tensor, frozenset(words), highlight or {})
        for name, value in (("nodes", nodes), ("edges", edges), ("show", words), ("root", tensor)):
            object.__setattr__(self, name, value)

    def dot(self) -> graphviz.Digraph:
        """The picture as a ``graphviz.Digraph``, to adapt; its ``source`` is DOT text, the same in every process. This needs the
        Python package ``graphviz`` and not the program. Counterpart: ``torchviz.make_dot``.

        >>> import tinygrad_edu as tg
        >>> "o1 -> t1" in tg.exp(tg.Tensor(0.0, requires_grad=True)).graph().dot().source
        True
        """
        return draw(self.nodes, self.edges)

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

        return receipt(self, self.root, gradient)

    def to_numpy_source(self, gradient: Any = None) -> str:
        """The forward and the backward computation as a NumPy program that runs without this library: a module with one function,
        ``value_and_gradients``, of the inputs by their names, which returns the value and a dictionary of the gradients. It
        computes the same numbers, bit for bit, because it is no translation: the operations and the engine run once more, and what
        they ask NumPy to do is written down. So it holds for the shapes and dtypes of the graph, and for the branches that were
        taken, as where an operation looks whether a number is infinite. Operations that SciPy computes need SciPy.

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

        return numpy_source(self, self.root, gradient)

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

        return lint(self, self.root, parameters)

    def render(self, path: str | PathLike[str]) -> Path:
        """Write the picture to a file, in the format that its suffix names: .svg, .png, .pdf, .dot and .gv for DOT text, or .html
        for the page that goes through backward step by step; see `steps`.

        Returns the path. Raises `ArgumentError` for another suffix, OSError when the file cannot be written, and `MissingError`
        when the program ``dot`` is needed, as for all but DOT text, and not installed. A file is written whole or not at all.
        Counterpart: ``graphviz.Digraph.render``, which leaves the text beside the picture.

        >>> import pathlib, tempfile
        >>> import tinygrad_edu as tg
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = tg.Tensor(1.0, name="x").graph().render(pathlib.Path(folder, "x.dot"))
        ...     path.name, "digraph" in path.read_text(encoding="utf-8")
        ('x.dot', True)
        """
        # Only a picture that is written needs paths and what they drag in: a tenth of the time that the library takes to load.
        from pathlib import Path

        from tinygrad_edu.viz.files import format_of, write

        if Path(path).suffix.lower() in (".html", ".htm"):
            return self.steps().render(path)
        format = format_of(path)
        return write(self.dot(), Path(path), format)

    def __repr__(self) -> str:
        operations = sum(node.kind == "op" for node in self.nodes)
        return f"Graph({operations} operations, {len(self.nodes) - operations} tensors)"
