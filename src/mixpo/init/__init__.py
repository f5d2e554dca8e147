"""`mixpo init`: looks at data and a model, and writes a recipe that runs."""
