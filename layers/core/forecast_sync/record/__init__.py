"""Record status: how a run ended, in success or failure, and how long that is kept."""
