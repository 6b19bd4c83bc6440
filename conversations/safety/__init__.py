"""Rules of staff, applied to what is asked and answered; the filters themselves are in `filters`."""
