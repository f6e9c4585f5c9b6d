"""The status API: routes, schemas and problem details over the use cases in ``runs``.

The function's handler calls ``answer``; ``app`` has the routes and makes the OpenAPI document from
them.
"""

from __future__ import annotations

from forecast_sync.api.routes import answer, app

__all__ = ["answer", "app"]
