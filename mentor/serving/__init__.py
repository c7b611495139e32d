"""A model with its tools behind OpenAI's chat API, on the rollout loop: HTTP in and out, `environment` in between."""
