"""Text and embedding metrics: a library that knows nothing of HTTP, caches or profiles."""
