"""A net learns the three arms of a spiral, which no straight line separates: *Deep Learning from Scratch 2*, section 1.4.

python examples/spiral_classifier.py          prints the accuracy of a straight line and of a net with hidden layers
python examples/spiral_classifier.py DIR      draws their decision regions
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.training import EarlyStopping, fit, plot_decision_boundary


def train(model, lr: float = 0.01, epochs: int = 60):
    """The history of a training on 300 points, validated on 150 others."""
    return fit(
        model,
        tg.data.DataLoader(tg.data.spiral(300), batch_size=30, shuffle=True),
        nn.functional.cross_entropy,
        tg.optim.Adam(model.parameters(), lr=lr),
        epochs=epochs,
        validation=tg.data.spiral(150, seed=1),
        metrics="accuracy",
        early_stopping=EarlyStopping("val_loss", patience=20),
    )


def models():
    rng = np.random.default_rng(0)
    straight = nn.Linear(2, 3, rng=rng)
    bent = nn.Sequential(nn.Linear(2, 32, rng=rng), nn.Tanh(), nn.Linear(32, 32, rng=rng), nn.Tanh(), nn.Linear(32, 3, rng=rng))
    return {"one layer": straight, "three layers": bent}


def main(directory: str | None = None) -> None:
    trained = models()
    for name, model in trained.items():
        history = train(model)
        print(f"{name}: {max(history['val_accuracy']):.3f} of the validation's points are right")
    if directory is not None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 4.5), layout="constrained")
        for axes, (name, model) in zip(figure.subplots(1, 2), trained.items(), strict=True):
            plot_decision_boundary(model, *tg.data.spiral(300), axes=axes)
            axes.set_title(name)
        file = Path(directory) / "spiral_classifier.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
        print(f"the decision regions: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
