"""The public names of fnet, as a mapping for `eval` and doctests; it includes names that are imported when used."""

import fnet

NAMES = {name: getattr(fnet, name) for name in dir(fnet)}
