"""Tokens, FLOPs, memory and hours of a training before it runs."""
