"""The sub-commands, one module each: HELP, EXAMPLE, `add_arguments(parser)` and `run(args)`, which returns the exit code."""
