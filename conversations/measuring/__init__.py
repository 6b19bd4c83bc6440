"""What is known of speed and load beside `metrics`: figures of the dashboard, paces, lag, traces."""
