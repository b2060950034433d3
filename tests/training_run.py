"""A training that a test starts as a program of its own, kills, and starts again, with everything that has a state in it.

python training_run.py CHECKPOINT WEIGHTS EVERY
"""

import sys

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim


def parts():
    """The arguments of fit."""
    rng = np.random.default_rng(0)
    x, t = tg.data.spiral(120, seed=3)
    dropout = nn.Dropout(0.2, rng=np.random.default_rng(5))
    model = nn.Sequential(nn.Linear(2, 16, rng=rng), nn.BatchNorm1d(16), nn.ReLU(), dropout, nn.Linear(16, 3, rng=rng))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    loader = tg.data.DataLoader((x, t), batch_size=20, shuffle=True, seed=1, prefetch=2)
    schedule = optim.OneCycleLR(optimizer, max_lr=0.05, total_steps=100)
    return model, loader, tg.nn.functional.cross_entropy, optimizer, schedule


def augmented(model_loss):
    """A loss that draws from NumPy's global generator, which a resumed run has to put back as well."""
    return lambda y, t: model_loss(y + 0.01 * np.random.standard_normal(y.shape), t)


def train(checkpoint=None, epochs=6, **options):
    model, loader, loss, optimizer, schedule = parts()
    np.random.seed(4)
    history = tg.training.fit(
        model,
        loader,
        augmented(loss),
        optimizer,
        epochs=epochs,
        validation=tg.data.spiral(60, seed=4),
        metrics="accuracy",
        schedule=schedule,
        clip_norm=1.0,
        early_stopping=tg.training.EarlyStopping("val_loss", patience=50, restore_best=False),
        checkpoint=checkpoint,
        **options,
    )
    return model, history


if __name__ == "__main__":
    checkpoint, weights, every = sys.argv[1:]
    print("begun", flush=True)
    model, history = train(checkpoint, checkpoint_every=int(every))
    state = {"weights": model.state_dict(), "history": history}
    tg.save(weights, state)
