"""Clinical-error judges: a library that knows nothing of HTTP servers, caches or profiles."""
