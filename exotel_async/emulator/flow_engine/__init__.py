"""The engine that walks a call through the applets of a flow."""
