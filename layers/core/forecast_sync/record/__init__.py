"""Record status: how a run ended, in success and failure, and how long that is kept."""
