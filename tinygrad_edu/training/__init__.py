"""Training: the loop with validation, history, early stopping and exact resumption, and plots of what came of it."""

from tinygrad_edu.training.fitting import fit
from tinygrad_edu.training.metrics import accuracy, confusion_matrix, evaluate
from tinygrad_edu.training.plots import (
    plot_accuracy,
    plot_confusion,
    plot_decision_boundary,
    plot_gradient_field,
    plot_gradients,
    plot_history,
    plot_loss,
    plot_surface,
    plot_weights,
)
from tinygrad_edu.training.stopping import EarlyStopping

__all__ = [
    "EarlyStopping",
    "accuracy",
    "confusion_matrix",
    "evaluate",
    "fit",
    "plot_accuracy",
    "plot_confusion",
    "plot_decision_boundary",
    "plot_gradient_field",
    "plot_gradients",
    "plot_history",
    "plot_loss",
    "plot_surface",
    "plot_weights",
]
