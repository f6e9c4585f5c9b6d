"""Status API: how fresh the branches are, what runs, and the buttons to start, redrive and stop."""

from __future__ import annotations

from forecast_sync.api import routes

handler = routes.answer
