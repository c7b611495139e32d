"""Ask a model behind an OpenAI-compatible endpoint: requests with retries, caps, and a store of answers."""
