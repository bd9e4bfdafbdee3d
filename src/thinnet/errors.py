"""The errors and warnings that thinnet raises by name."""

from __future__ import annotations


class ThinnetError(Exception):
    """Base class of thinnet's errors about what it was given: data, parameters, files or models.

    Those below are ValueErrors, too. Anything else that thinnet raises is an argument of the wrong kind (plain
    ValueError or TypeError), an OSError, a missing optional module, or an error of thinnet itself.
    """


class DataError(ThinnetError, ValueError):
    """A table, a target or a cell that cannot be used; the message names the column and the remedy."""


class CellTypeError(DataError, TypeError):
    """Data of a type that a table cannot hold, such as a list in a cell or a sparse matrix."""


class ParameterError(ThinnetError, ValueError):
    """A parameter of an estimator that is of the wrong kind or out of its range."""


class CheckpointError(ThinnetError, ValueError):
    """The file of an unfinished training that is damaged, or that belongs to another training."""


class ModelFolderError(ThinnetError, ValueError):
    """A saved model that cannot be written or read; the message names the file and the remedy."""


class NotCompactableError(ThinnetError, ValueError):
    """A model that cannot be made smaller with equal outputs; the message says why, and nothing was changed."""


class NotExportableError(ThinnetError, ValueError):
    """A model that a file format cannot hold, or not with equal outputs; the message says why, and no file is left."""


class NoEffectWarning(UserWarning):
    """A rule, a rate or a setting that has no effect as it is given."""


class PlanWarning(UserWarning):
    """A finding about a plan that can be applied, and is probably not what was meant."""
