"""Pages and actions, a module for each part of the interface."""
