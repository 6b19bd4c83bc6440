"""Files of users: how they are taken in, what they are, where they are kept."""
