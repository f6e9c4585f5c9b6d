-- What COPY made of the probe's line, and its hash. Only reads.
SELECT {hash}, {values} FROM forecast_sync_probe AS target
