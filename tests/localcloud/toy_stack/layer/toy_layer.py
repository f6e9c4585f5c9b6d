"""What the toy functions import from their layer."""

GREETING = "from the layer"
