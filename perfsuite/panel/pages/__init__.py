"""The panel's pages that are made on the server: queries, one query, findings."""
