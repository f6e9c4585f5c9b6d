-- Takes lines that are keys as they are. May run twice: the stage is dropped with its transaction.
COPY forecast_sync_stage ({key}) FROM STDIN
