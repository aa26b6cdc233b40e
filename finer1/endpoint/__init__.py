"""The HTTP endpoint: a trained model behind OpenAI's chat protocol and /v1/recognize."""
