"""Functions of TensorFlow as layers, by its rules: Keras 2 wrote them into graphs for `x + y`, `x[:, 0]`, `tf.concat`.

Each is `(params, x, *, options)` without parameters; `x` is the tensor, or the tuple of the tensors and numbers of the
call: `tf_functions.add({}, (a, 2.5))`. Names of arguments are TensorFlow's. Unlike `fnet.operations` they do not
promote dtypes, and a quotient of integers is a float64. Masks are dropped, as in Keras 2. `FUNCTIONS` maps the names in
files to functions.
"""

# Each module adds its functions to `FUNCTIONS` when it is imported.
from fnet.tf_functions import algebra, elementwise, images, indexing, neural, reductions, shaping, signals, texts  # noqa: F401
from fnet.tf_functions.rules import FUNCTIONS

globals().update({function.__name__: function for function in FUNCTIONS.values()})

__all__ = ["FUNCTIONS", *sorted({function.__name__ for function in FUNCTIONS.values()})]
