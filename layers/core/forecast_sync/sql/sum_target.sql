-- The checksum of what now stands in the target for the batch's keys, in the form in which Athena
-- sent it. Only reads.
SELECT coalesce(sum(('x' || substr(md5({line}), 1, 15))::bit(60)::bigint), 0)
FROM forecast_sync_stage AS source JOIN {target} AS target ON {same_key}
