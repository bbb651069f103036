"""Replays of meta-learned surrogates and their baselines on families of tasks."""
