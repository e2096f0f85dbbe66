"""The SDK within the frameworks people use, each served as it is in production."""
