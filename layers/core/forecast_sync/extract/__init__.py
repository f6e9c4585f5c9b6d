"""The state *Run queries*: composes the statements that Athena runs, submits and polls them."""
