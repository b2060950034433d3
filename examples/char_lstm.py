"""A character-level LSTM learns to write: it reads sonnets letter by letter and guesses the next one.

The text, three sonnets of William Shakespeare (1609), ships with this example; it is in the public domain. The net learns it nearly
by heart, which is what so small a text is good for.

    python examples/char_lstm.py          prints how the loss falls, and what it writes
    python examples/char_lstm.py DIR      draws the loss, too
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


class CharLSTM(nn.Module):
    """Letter numbers of shape (batch, time) to scores of the next letter, (batch, time, letters)."""

    def __init__(self, hidden: int, rng: np.random.Generator) -> None:
        options = {"rng": rng, "dtype": np.float32}
        self.embedding = nn.Embedding(len(LETTERS), 32, **options)
        self.lstm = nn.LSTM(32, hidden, batch_first=True, **options)
        self.output = nn.Linear(hidden, len(LETTERS), **options)

    def forward(self, letters, state=None, *, with_state: bool = False):
        hidden, state = self.lstm(self.embedding(letters), state)
        scores = self.output(hidden)
        return (scores, state) if with_state else scores


def windows(length: int):
    """Every piece of the text of this length, and the same piece one letter later."""
    pieces = np.lib.stride_tricks.sliding_window_view(NUMBERS, length + 1)[::5]
    return pieces[:, :-1], pieces[:, 1:]


def loss(scores, target):
    return nn.functional.cross_entropy(scores.reshape(-1, len(LETTERS)), target.reshape(-1))


def train(epochs: int = 20, hidden: int = 128):
    rng = np.random.default_rng(0)
    model = CharLSTM(hidden, rng)
    optimizer = tg.optim.Adam(model.parameters(), lr=5e-3)
    loader = tg.data.DataLoader(windows(32), batch_size=32, shuffle=True)
    return model, fit(model, loader, loss, optimizer, epochs=epochs, clip_norm=1.0)


def write(model, start: str, length: int, temperature: float = 0.3, seed: int = 0) -> str:
    """Go on from a text: the next letter is drawn from the model's probabilities, the sharper the lower the temperature."""
    rng, text, state = np.random.default_rng(seed), start, None
    letters = [LETTERS.index(letter) for letter in start]
    with tg.no_grad():
        for _ in range(length):
            scores, state = model(np.array([letters]), state, with_state=True)
            probabilities = tg.softmax(scores.data[0, -1].astype(float) / temperature)
            letters = [int(rng.choice(len(LETTERS), p=probabilities))]
            text += LETTERS[letters[0]]
    return text


def main(directory: str | None = None) -> None:
    print(f"{len(TEXT):,} letters, {len(LETTERS)} different ones: guessing costs {np.log(len(LETTERS)):.2f} a letter")
    model, history = train()
    print(f"loss a letter: {history['loss'][0]:.2f} in the first epoch, {history['loss'][-1]:.2f} in the last")
    print(write(model, "Shall I ", 150))

    if directory is not None:
        file = Path(directory) / "char_lstm.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        plot_loss(history).savefig(file)
        print(f"the loss: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
