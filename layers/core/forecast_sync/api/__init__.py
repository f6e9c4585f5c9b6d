"""The status API: routes, models and problem details over the use cases of reporting and operating.

``answer`` is what the function's handler calls; ``app`` knows the routes and draws the OpenAPI
document from them.
"""

from __future__ import annotations

from forecast_sync.api.routes import answer, app

__all__ = ["answer", "app"]
