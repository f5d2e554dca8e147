"""The browser: pages of one run, and its blind review."""
