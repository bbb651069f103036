"""A twin's discrepancy on recorded data: what was calculated, or measured of the clean thing, against what was measured."""
