"""Values that come late, in parts, from elsewhere, or were wrong."""
