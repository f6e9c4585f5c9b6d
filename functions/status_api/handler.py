"""Status API: which runs there are, how they ended, and what they rejected."""

from __future__ import annotations

from forecast_sync.api import app

handler = app.resolve
