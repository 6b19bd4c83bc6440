#!/usr/bin/env python
"""Django's command line; a setting that cannot be used ends it with one line that names the setting."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from environs import EnvError


def main() -> None:
    """Run the command named in `sys.argv`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")
    try:
        execute_from_command_line(sys.argv)
    except (EnvError, ImproperlyConfigured) as error:
        sys.exit(f"Stillwater cannot start: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
