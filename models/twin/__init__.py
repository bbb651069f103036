"""Why a twin was wrong: a simulator's predictions against what the laboratory measured."""
