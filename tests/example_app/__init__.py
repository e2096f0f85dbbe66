"""A whole application: a shop with a telephone, in FastAPI, as a user of the SDK would write it."""
