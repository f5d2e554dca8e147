"""Drawn scenes whose truth is known: grids of coloured shapes and bar charts, with multi-step questions."""
