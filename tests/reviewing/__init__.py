"""People in the loop: the rules, the ledger, the terminal and the page."""
