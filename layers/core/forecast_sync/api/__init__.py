"""The status API: routes, schemas and problem details over the use cases in ``runs``.

``routes`` has what the function's handler calls. It isn't imported here, because the command line
needs only the schemas, and the routes' packages take half a second.
"""
