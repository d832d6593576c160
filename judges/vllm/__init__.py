"""A clinical-error judge on any OpenAI-compatible server that constrains its output to a JSON schema."""
