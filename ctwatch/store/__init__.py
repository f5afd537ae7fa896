"""The database: schema and migrations, transactions, the published copy, and the queries."""
