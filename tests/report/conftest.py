"""The run folder of `fixtures.report_run`."""

from fixtures.report_run import evil, files, full, writers

__all__ = ["evil", "files", "full", "writers"]
