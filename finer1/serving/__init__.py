"""Models that others run: OpenAI's protocol, and vLLM in this process or behind an address."""
