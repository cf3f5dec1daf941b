"""The rows: connections, units of work, row level security, migrations."""
