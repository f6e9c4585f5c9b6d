-- One row that exists nowhere, with its COPY-text line. Only reads.
SELECT {line} AS line FROM (SELECT *{exact_columns} FROM (SELECT {values}))
