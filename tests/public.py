"""The public names of fnet, as a mapping that `eval` and doctests take: what is imported when used is in it too."""

import fnet

NAMES = {name: getattr(fnet, name) for name in dir(fnet)}
