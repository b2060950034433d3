"""Every error that the library raises on purpose. (A call with the wrong arguments is Python's own TypeError.)

Each class also derives from the built-in exception that a NumPy user would expect, so that ``except ValueError`` written
for NumPy code keeps working::

    TinygradError
    ├── ShapeError             ValueError,     operands whose shapes do not fit, an axis or index that is out of range
    │                          IndexError
    ├── DTypeError             TypeError       integers that would need a gradient, operands that are not numbers
    ├── ArgumentError          ValueError      an option that is out of range or unknown, an empty list of parameters
    ├── LabelError             ValueError      class labels that do not fit the logits
    ├── StateError             ValueError      a saved state that does not fit the module: names, shapes or dtypes
    ├── MatrixError            LinAlgError,    a matrix that is singular, not positive definite, not diagonalizable, …
    │                          ValueError
    ├── GraphError             RuntimeError    backward() from something that is not a differentiable scalar
    │   ├── ReleasedError                      backward() through a graph whose arrays were already released
    │   └── MutationError                      an array that backward needs has changed since forward
    ├── AnomalyError           ArithmeticError  a value or a gradient that is nan or infinite, under detect_anomaly()
    ├── RuleError              RuntimeError    a derivative rule gave a gradient of the wrong shape or kind
    ├── PrimitiveError         TypeError       @primitive was given a forward, a rule or a case that does not fit
    ├── GradientMismatchError  AssertionError  the analytic gradient disagrees with the numerical one
    ├── LawError               AssertionError  a law that every derivative obeys, or a property under test, does not hold
    ├── ConvergenceError       RuntimeError    an iteration ended without reaching its goal
    ├── NumericalError         ValueError      a numerical derivative was asked of something that has none
    ├── FileError              ValueError      a file that is truncated, corrupt, of another format, or missing in a folder
    └── MissingError           RuntimeError    a program or package that this feature needs is not installed
"""

from numpy.linalg import LinAlgError


class TinygradError(Exception):
    """Base of every error in this module."""


class ShapeError(TinygradError, ValueError, IndexError):
    """Operands whose shapes do not fit together, or an axis or index that is out of range."""


class DTypeError(TinygradError, TypeError):
    """A dtype that cannot do what is asked, such as an integer tensor that should require grad."""


class ArgumentError(TinygradError, ValueError):
    """An option that is out of range, unknown or empty."""


class LabelError(TinygradError, ValueError):
    """Class labels that do not fit the logits: wrong shape, range or kind."""


class StateError(TinygradError, ValueError):
    """A saved state that does not fit the module that is to take it over: its names, shapes or dtypes."""


class MatrixError(TinygradError, LinAlgError):
    """A matrix that lacks what an operation of linear algebra needs: it is singular, or not positive definite."""


class GraphError(TinygradError, RuntimeError):
    """The recorded graph cannot be differentiated as asked."""


class ReleasedError(GraphError):
    """The graph's arrays were released by an earlier backward()."""


class MutationError(GraphError):
    """An array that a derivative needs was changed after it was recorded."""


class AnomalyError(TinygradError, ArithmeticError):
    """A value or a gradient that is nan or infinite was made where `detect_anomaly` was watching."""


class RuleError(TinygradError, RuntimeError):
    """A primitive's derivative rule returned something that cannot be its operand's gradient."""


class PrimitiveError(TinygradError, TypeError):
    """A primitive was declared with a signature, rule or test case that does not fit."""


class GradientMismatchError(TinygradError, AssertionError):
    """An analytic derivative disagrees with the numerical one."""


class LawError(TinygradError, AssertionError):
    """A law that every derivative obeys, or a property that is tested, does not hold."""


class ConvergenceError(TinygradError, RuntimeError):
    """An iteration ended without reaching its goal: the result would be meaningless."""


class NumericalError(TinygradError, ValueError):
    """A numerical derivative was asked of an input or a function that cannot have one."""


class FileError(TinygradError, ValueError):
    """A file whose content is not what it should be; the message names the file and says what is wrong."""


class MissingError(TinygradError, RuntimeError):
    """A program or package that the called feature needs is not installed; the message says how to get it."""
