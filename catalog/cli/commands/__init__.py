"""One module per command, named as the command is. Each holds a coroutine whose docstring is the help text."""
