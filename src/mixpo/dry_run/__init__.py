"""What a recipe would do, and what that would cost, before it does anything."""
