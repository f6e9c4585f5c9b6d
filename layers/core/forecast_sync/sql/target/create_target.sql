-- Creates the target as the table file says. May run twice: it says IF NOT EXISTS, and the caller
-- holds an advisory lock.
CREATE TABLE IF NOT EXISTS {target} (
    id SERIAL PRIMARY KEY,
    {columns},
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    {written_at} TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE ({key})
)
