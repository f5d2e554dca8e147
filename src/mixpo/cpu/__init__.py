"""What makes torch fast on a CPU: float32 products with AVX-512, attention made of them, freed memory that is kept."""
