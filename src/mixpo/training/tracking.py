"""Experiment trackers by name: known to transformers, and installed, before a training begins."""

from collections.abc import Sequence

from mixpo.errors import UserError


def check_names(names: Sequence[str]) -> None:
    """Raises UserError for a tracker (`report_to`) that transformers does not know."""
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise UserError(f"report_to {name!r} is none of none, all, {', '.join(sorted(INTEGRATION_TO_CALLBACK))}")


def check_installed(names: Sequence[str]) -> None:
    """Raises UserError for a tracker whose library is missing here."""
    from transformers.integrations import get_available_reporting_integrations

    for name in names:
        if name not in get_available_reporting_integrations():
            raise UserError(f"report_to: {name} is not installed; pip install {name}, or set report_to: none")
