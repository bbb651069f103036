"""A campaign in Prefect's page: its flow run, its artifacts, and the forms in which people answer.

Two rooms above show campaigns there: `flows.cli`, for a campaign that was begun in a terminal, and `flows.ui`, for one that
was begun in the page. Neither sees the other; what both need of Prefect stands here. The rooms below know it as ports alone:
`flows.running` is handed a frame and an asker, and loads no Prefect.
"""
