"""The command line: thinnet fit, predict and demo."""
