"""A two-layer net learns to read handwritten digits: mini-batch, gradient, update, repeat.

All of the learning is in the four lines of the inner loop. ``tinygrad-edu demo`` does the same with a progress bar, pictures
and a check of the gradients.

    python examples/two_layer_net_digits.py
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.functional import cross_entropy


def accuracy(net, x, t) -> float:
    with tg.no_grad():
        return (net(x).argmax(axis=1).data == t).mean()


def main(epochs: int = 15) -> None:
    (x_train, t_train), (x_test, t_test) = tg.data.load_digits(seed=1)
    rng = np.random.default_rng(1)
    net = nn.Sequential(nn.Linear(64, 50, rng=rng), nn.Sigmoid(), nn.Linear(50, 10, rng=rng))
    print(net)
    optimiser = tg.optim.SGD(net.parameters(), lr=0.5)
    batches = tg.data.DataLoader((x_train, t_train), batch_size=10, shuffle=True)
    for epoch in range(1, epochs + 1):
        for x, t in batches:
            optimiser.zero_grad()
            loss = cross_entropy(net(x), t)
            loss.backward()
            optimiser.step()
        train, test = accuracy(net, x_train, t_train), accuracy(net, x_test, t_test)
        print(f"epoch {epoch:2d}: loss of the last batch {loss.item():.4f}, accuracy {train:.3f} train, {test:.3f} test")


if __name__ == "__main__":
    main()
