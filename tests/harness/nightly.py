"""How much is tried: what an ordinary run has time for, or, where BLOBCAT_NIGHTLY is set, what a night has."""

import os

NIGHTLY = "BLOBCAT_NIGHTLY" in os.environ
TIMEOUT_S = 3 * 3_600 if NIGHTLY else 300
"""Of a test whose amount depends on it."""
