"""`fnet explain`: the contents of a model file, without its weights."""
