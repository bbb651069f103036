"""People in the loop: what they are asked, how the question reaches them, and what their answers bring."""
