"""What the command line asks of a deployment: AWS's services and the status API."""
