"""The commands of `ctwatch train`, one module each; heavy parts are imported when a command runs."""
