"""The errors a user can cause or meet. Each message says what, where, found, expected and what to do.

A page or the command line shows the message as it is; anything that is not a ``ReviewscopeError`` is a fault of ours.
"""


class ReviewscopeError(Exception):
    """Base of every error whose message is written for the user."""


class ConfigError(ReviewscopeError):
    """A setting, preset or option that does not exist or is out of bounds."""


class DataError(ReviewscopeError):
    """A data set that cannot be reached or does not hold what it should."""


class TableError(DataError):
    """A table of the user's that cannot be read as it is."""


class ModelFileError(ReviewscopeError):
    """A model file that is damaged, foreign or unsafe."""


class CheckpointError(ReviewscopeError):
    """A checkpoint that is damaged or belongs to other settings."""


class JobError(ReviewscopeError):
    """A job that cannot be queued, found or stopped."""


class RunError(ReviewscopeError):
    """A run that does not exist, is busy, or is not in the state that is asked for."""


class DivergedError(RunError):
    """The loss of a training exploded or stopped being a number."""
