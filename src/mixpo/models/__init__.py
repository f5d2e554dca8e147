"""What is known of a model, for sampling and training alike: loading, chat templates, heads, log-probabilities,
attention, the vision tower; `cpu_*` make torch fast on a CPU (float32 products with AVX-512, attention made of them,
freed memory that is kept)."""
