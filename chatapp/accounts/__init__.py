"""Users and sign-in: the custom user model, the owner's one-time link, and glue for django-allauth."""
