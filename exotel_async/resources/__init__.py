"""The small resources of a session: account, numbers and ExoPhones."""
