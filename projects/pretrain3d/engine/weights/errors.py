"""The one error of this room."""


class WeightsError(RuntimeError):
    """Weights could not be read, mapped or loaded as asked; the message says what to change."""
