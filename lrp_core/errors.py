"""The one exception of the engine that is not a plain ``ValueError`` or ``TypeError``."""


class UnsupportedOp(TypeError):
    """An operation of the model has no propagation rule; the message names it and says how to register one."""
