"""A campaign for the world: its tables, once as values, then as CSV, Parquet, frames and a research object."""
