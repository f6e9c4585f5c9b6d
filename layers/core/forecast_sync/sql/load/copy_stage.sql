-- Takes the lines as they are. May run twice: the stage is dropped with its transaction.
COPY forecast_sync_stage ({columns}) FROM STDIN
