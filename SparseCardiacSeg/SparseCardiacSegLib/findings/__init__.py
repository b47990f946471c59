"""What was found in a study, with its pictures and its report; used by the command line's main job and by the worker.

Nothing here reads an image, runs a model or knows a scene: results come in, pictures and a report's content come out.
"""

from __future__ import annotations
