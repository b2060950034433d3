"""The chain rule on a graph of two operations: z = (x + y)**2 at x = 2, y = 3.

Each operation knows its own derivative only. Backward, every one multiplies what arrives from above by its local derivative and
hands the product on, so that dz/dx = dz/dt * dt/dx with t = x + y.

    python examples/chain_rule.py          prints the numbers
    python examples/chain_rule.py DIR      draws the graph as well
"""

import sys
from pathlib import Path

import tinygrad_edu as tg


def main(directory: str | None = None) -> None:
    x = tg.Tensor(2.0, requires_grad=True, name="x")
    y = tg.Tensor(3.0, requires_grad=True, name="y")
    t = x + y
    z = t**2
    z.backward(retain_graph=True)  # the picture shows values, so keep them

    t_data = t.item()
    dz_dt = tg.grad(lambda t: t**2)(t_data).item()
    dt_dx = tg.grad(lambda x: x + 3.0)(2.0).item()
    print(f"t = x + y = {t_data:g}, z = t**2 = {z.item():g}")
    print(f"local derivatives: dz/dt = 2 t = {dz_dt:g}, dt/dx = {dt_dx:g}")
    print(f"chain rule: dz/dx = dz/dt * dt/dx = {dz_dt * dt_dx:g}")
    print(f"backward(): dz/dx = {x.grad.item():g}, dz/dy = {y.grad.item():g}")

    if directory is not None:
        path = Path(directory) / "chain_rule.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        graph = z.graph(show=("value", "grad"))
        try:
            graph.render(path)
        except tg.errors.MissingError:  # without Graphviz there is still the graph's source
            path = path.with_suffix(".dot")
            graph.render(path)
        print(f"the graph: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
