"""Functions of TensorFlow as layers, by its rules: what Keras 2 wrote into graphs for `x + y`, `x[:, 0]`, `tf.concat`.

Each is `(params, x, *, options)` without parameters; `x` is the tensor, or the tuple of the tensors and numbers of the
call: `tf_functions.add({}, (a, 2.5))`. Names of arguments are TensorFlow's. Unlike those of `fnet.operations` they
promote nothing, and a quotient of integers is a float64. Masks are dropped, as in Keras 2. `FUNCTIONS` tells the names
that files use.
"""

# Each module puts its functions into `FUNCTIONS` when it is imported.
from fnet.tf_functions import (  # noqa: F401
    algebra,
    elementwise,
    images,
    indexing,
    neural,
    reductions,
    shaping,
    signals,
)
from fnet.tf_functions.rules import FUNCTIONS

globals().update({function.__name__: function for function in FUNCTIONS.values()})

__all__ = ["FUNCTIONS", *sorted({function.__name__ for function in FUNCTIONS.values()})]
