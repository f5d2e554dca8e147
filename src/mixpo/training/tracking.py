"""Experiment trackers by name: known to transformers, and installed, before a training begins."""

from mixpo.errors import UserError


def check_tracker(name: str) -> None:
    """Raises UserError for a tracker (`report_to`) that transformers does not know, or whose library is missing."""
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    if name in ("none", "all"):
        return
    if name not in INTEGRATION_TO_CALLBACK:
        raise UserError(f"report_to {name!r} is none of none, all, {', '.join(sorted(INTEGRATION_TO_CALLBACK))}")
    if name not in get_available_reporting_integrations():
        raise UserError(f"report_to: {name} is not installed; pip install {name}, or set report_to: none")
