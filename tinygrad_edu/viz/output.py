"""What can be made of a graph: text, pictures, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any
from warnings import warn

from tinygrad_edu.viz.options import LEAST, Options

if TYPE_CHECKING:
    from pathlib import Path

    import graphviz  # type: ignore[import-untyped]

    from tinygrad_edu.viz.picture import Picture
    from tinygrad_edu.viz.structure import GraphEdge, GraphNode

SECONDS = 10.0  # the longest that Graphviz may take
NOTEBOOK_SECONDS = 10.0  # the same in a notebook, where nobody can ask for another limit


class Output:
    """The part of `Graph` that writes and draws."""

    __slots__ = ()
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    show: tuple[str, ...]
    options: Options

    # ------------------------------------------------------------------------------------------------------- as text

    def dot(self) -> graphviz.Digraph:
        """The picture as a ``graphviz.Digraph``, to adapt; its ``source`` is DOT text, the same in every process. This needs the
        Python package ``graphviz`` and not the program. Boxes have their node's id, also in an SVG. Counterpart:
        ``torchviz.make_dot``.

        >>> import tinygrad_edu as tg
        >>> "i1 -> o1" in tg.exp(tg.Tensor(0.0, requires_grad=True)).graph().dot().source
        True
        """
        from tinygrad_edu.viz.drawing import draw

        return draw(self._composed(), self.options)

    def mermaid(self) -> str:
        """The picture as a flowchart in the language of Mermaid, which GitHub, GitLab and JupyterLab draw.

        >>> import tinygrad_edu as tg
        >>> print(tg.exp(tg.Tensor(0.0, requires_grad=True)).graph().mermaid()[:51])
        flowchart TB
          i1(["()"]):::leaf
          o1("exp"):::op
        """
        from tinygrad_edu.viz.text import mermaid

        return mermaid(self._composed(), self.options)

    def text(self) -> str:
        """The graph as a tree that a person can read, the result first; what ``print(graph)`` prints.

        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> print((x * tg.sin(x)).sum().graph().text())
        t3 () = Sum(t2)
        t2 (2,) = ×(x (2,), t1)
        t1 (2,) = sin(x)
        """
        from tinygrad_edu.viz.text import tree

        return tree(self._composed(detail="ops"))

    def summary(self) -> str:
        """A table of the operations, in the order of the program: the shape of the result, parameters where they are used first,
        floating-point operations of the forward, bytes that only this operation keeps for backward, and, if ``show`` has "time",
        the time of the forward. A graph of more than ``max_nodes`` boxes is folded, as in a picture.

        Floating-point operations are counted as is usual: an element-wise operation, whichever it is, takes one for each element of
        its result, a reduction one for each element that it reads, a softmax or a cross-entropy five, a product of matrices, an
        einsum or a convolution two for each multiplication, a Fourier transform 5 n log₂ n, and moving data none. What is not
        known, as for a sort, a singular value decomposition, or an operation of your own, is a question mark and not part of the
        total.

        >>> import numpy as np
        >>> import tinygrad_edu as tg
        >>> net = tg.nn.Sequential(tg.nn.Affine(4, 3), tg.nn.Sigmoid())
        >>> print(net(np.ones((5, 4))).graph().summary())
              operation  module                  result  parameters  FLOPs  saved
        o1    MatMul     Sequential / 0: Affine  (5, 3)          12    120  160 B
        o2    Repeat     Sequential / 0: Affine  (5, 3)           3      0    0 B
        o3    +          Sequential / 0: Affine  (5, 3)                 15    0 B
        o4    σ          Sequential / 1: Sigmoid (5, 3)                 15  120 B
        total 4 operations                                       15    150  280 B
        """
        from tinygrad_edu.viz.summary import table

        return table(self._composed(detail="ops"), self.nodes, self.edges)

    def json(self, *, indent: int | None = 1) -> str:
        """All that is known of nodes and edges, as JSON. Numbers that JSON cannot write are the strings "nan", "inf" and "-inf",
        and complex ones [real, imaginary].

        >>> import json
        >>> import tinygrad_edu as tg
        >>> found = json.loads(tg.exp(tg.Tensor(0.0, requires_grad=True)).graph().json())
        >>> found["nodes"][1]["op"], found["edges"][0]
        ('exp', {'source': 'i1', 'target': 'o1', 'position': 0, 'operand': 'a'})
        """
        from tinygrad_edu.viz.exchange import as_json

        return as_json(self.nodes, self.edges, indent)

    def networkx(self) -> Any:
        """The graph as a ``networkx.MultiDiGraph``, whose nodes and edges have what these have as attributes. Raises `MissingError`
        when networkx is not installed.

        >>> import tinygrad_edu as tg
        >>> import pytest; networkx = pytest.importorskip("networkx")
        >>> graph = tg.exp(tg.Tensor(0.0, requires_grad=True)).graph().networkx()
        >>> networkx.ancestors(graph, "t1") == {"i1", "o1"}
        True
        """
        from tinygrad_edu.viz.exchange import as_networkx

        return as_networkx(self.nodes, self.edges)

    # -------------------------------------------------------------------------------------------------- as a picture

    def picture(self, format: str = "svg", *, seconds: float = SECONDS) -> bytes:
        """The picture itself, as "svg", "png" or "pdf". Raises `MissingError` when there is no Graphviz.

        Graphviz may take ``seconds`` for it. If that is not enough, this warns, and draws the graph folded to fewer boxes.

        >>> import tinygrad_edu as tg
        >>> from tinygrad_edu.viz.layout import backend
        >>> backend() is None or b"<svg" in tg.Tensor(1.0).graph().picture()
        True
        """
        from tinygrad_edu.viz.drawing import draw
        from tinygrad_edu.viz.layout import TooSlowError, lay_out, needed

        needed(f"a picture as {format}")
        options = self.options
        while True:
            picture = self._composed(max_nodes=options.max_nodes)
            drawing = draw(picture, options)
            if format == "png":
                drawing.attr(dpi="144")  # sharp on a projector; the other formats have no pixels
            try:
                return lay_out(drawing.source, format, seconds)
            except TooSlowError as error:
                fewer = max(len(picture.boxes) // 4, LEAST)
                if len(picture.boxes) <= LEAST:
                    raise
                warn(f"{error}: it is drawn folded to at most {fewer} boxes instead of {len(picture.boxes)}", stacklevel=2)
                options = replace(options, max_nodes=fewer)

    def render(self, path: str | PathLike[str], *, seconds: float = SECONDS) -> Path:
        """Write the graph to a file, in the format that its suffix names: .svg, .png or .pdf for a picture, .dot or .gv for DOT
        text, .mmd for Mermaid, .txt for a tree, .json for all there is, .html for the page of `steps`.

        Returns the path. Raises `ArgumentError` for another suffix, OSError when the file cannot be written, and `MissingError`,
        before anything else is done, when a picture needs Graphviz and there is none. A file is written whole or not at all.
        ``seconds`` as for `picture`. Counterpart: ``graphviz.Digraph.render``, which leaves the text beside the picture.

        >>> import pathlib, tempfile
        >>> import tinygrad_edu as tg
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = tg.Tensor(1.0, name="x").graph().render(pathlib.Path(folder, "x.dot"))
        ...     path.name, "digraph" in path.read_text(encoding="utf-8")
        ('x.dot', True)
        """
        # Only a picture that is written needs paths and what they drag in: a tenth of the time that the library takes to load.
        from pathlib import Path

        from tinygrad_edu.viz.files import write, writer_of

        writer = writer_of(path)
        return write(writer(self, seconds), Path(path))

    def _composed(self, **options: Any) -> Picture:
        from tinygrad_edu.viz.picture import compose

        return compose(self.nodes, self.edges, self.show, replace(self.options, **options))

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None) -> dict[str, str]:
        """What a notebook shows: the picture, and the tree where pictures are not shown. Never an error: a graph is often the last
        line of a cell."""
        from tinygrad_edu.viz.layout import backend

        bundle = {"text/plain": repr(self)}
        try:
            bundle["text/plain"] = self.text()
            if backend() is None:
                bundle["text/vnd.mermaid"] = self.mermaid()
            else:
                bundle["image/svg+xml"] = self.picture("svg", seconds=NOTEBOOK_SECONDS).decode()
        except Exception as error:
            bundle["text/plain"] += f"\n(no picture: {error})"
        return bundle
