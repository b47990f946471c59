"""The one error that a user sees as a sentence."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one clear sentence naming it.

    The command line prints the message and exits with 2; the Slicer module shows it in the panel.
    """
