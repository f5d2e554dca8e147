"""Original checkpoints -> transformers' format, without running their remote code."""
