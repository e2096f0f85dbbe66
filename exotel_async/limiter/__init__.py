"""Who may send a request to Exotel, and when: the local limiter and its parts."""
