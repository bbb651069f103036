"""The cold start: what is proposed where nothing is known of the family, on recorded tables."""
