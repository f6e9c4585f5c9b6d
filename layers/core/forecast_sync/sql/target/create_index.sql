-- Creates an index of the target. May run twice: it says IF NOT EXISTS, under the advisory lock.
CREATE INDEX IF NOT EXISTS {index} ON {target} ({columns}){where}
