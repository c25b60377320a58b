"""The `blobcat` command. `main` starts it, `commands` holds one module per command, the rest is what they share.

Nothing of `catalog` is imported here before a command runs: `blobcat --help` must not wait for an SDK.
"""
