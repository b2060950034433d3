"""A small transformer learns to write, by looking back at all the letters so far instead of carrying a state along.

It reads the same sonnets as the LSTM beside it. A mask keeps each letter from looking ahead: otherwise it would copy the answer.

    python examples/transformer_text.py          prints how the loss falls, and what it writes
    python examples/transformer_text.py DIR      draws the loss, too
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.training import fit, plot_loss

TEXT = (Path(__file__).parent / "sonnets.txt").read_text("utf-8")
LETTERS = sorted(set(TEXT))
NUMBERS = np.array([LETTERS.index(letter) for letter in TEXT])
CONTEXT = 32


class TinyTransformer(nn.Module):
    """Letter numbers of shape (batch, time) to scores of the next letter, (batch, time, letters)."""

    def __init__(self, width: int, heads: int, layers: int, rng: np.random.Generator) -> None:
        options = {"rng": rng, "dtype": np.float32}
        self.letters = nn.Embedding(len(LETTERS), width, **options)
        self.places = nn.Embedding(CONTEXT, width, **options)
        shape = (width, heads, 2 * width)
        blocks = [nn.TransformerEncoderLayer(*shape, dropout=0.0, batch_first=True, **options) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width, dtype=np.float32)
        self.output = nn.Linear(width, len(LETTERS), **options)

    def forward(self, letters):
        length = letters.shape[1]
        ahead = np.triu(np.ones((length, length), bool), 1)  # True: must not be looked at
        x = self.letters(letters) + self.places(np.arange(length))
        for block in self.blocks:
            x = block(x, src_mask=ahead)
        return self.output(self.norm(x))


def windows(length: int):
    """All pieces of the text of this length, so that every letter is met at every place, and the same pieces one letter later."""
    pieces = np.lib.stride_tricks.sliding_window_view(NUMBERS, length + 1)
    return pieces[:, :-1], pieces[:, 1:]


def loss(scores, target):
    return nn.functional.cross_entropy(scores.reshape(-1, len(LETTERS)), target.reshape(-1))


def train(epochs: int = 7, width: int = 64):
    model = TinyTransformer(width, heads=4, layers=2, rng=np.random.default_rng(0))
    loader = tg.data.DataLoader(windows(CONTEXT), batch_size=32, shuffle=True)
    optimizer = tg.optim.AdamW(model.parameters(), lr=3e-3)
    warm_up = tg.optim.OneCycleLR(optimizer, max_lr=5e-3, total_steps=epochs * len(loader) + 1, cycle_momentum=False)
    return model, fit(model, loader, loss, optimizer, epochs=epochs, schedule=warm_up, clip_norm=1.0)


def write(model, start: str, length: int, temperature: float = 0.3, seed: int = 0) -> str:
    """Go on from a text, with as many of the last letters as the model can see."""
    rng, text = np.random.default_rng(seed), start
    with tg.no_grad():
        for _ in range(length):
            letters = np.array([[LETTERS.index(letter) for letter in text[-CONTEXT:]]])
            probabilities = tg.softmax(model(letters).data[0, -1].astype(float) / temperature)
            text += LETTERS[int(rng.choice(len(LETTERS), p=probabilities))]
    return text


def main(directory: str | None = None) -> None:
    print(f"{len(TEXT):,} letters, {len(LETTERS)} different ones: guessing costs {np.log(len(LETTERS)):.2f} a letter")
    model, history = train()
    print(f"loss a letter: {history['loss'][0]:.2f} in the first epoch, {history['loss'][-1]:.2f} in the last")
    print(write(model, "Shall I ", 150))

    if directory is not None:
        file = Path(directory) / "transformer_text.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        plot_loss(history).savefig(file)
        print(f"the loss: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
