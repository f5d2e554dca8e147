"""mixpo: Mixed Preference Optimization (arXiv 2411.10442) for vision-language models, end to end."""

__version__ = "0.1.0"
