"""What was learned from which music, so that anyone who has it can do it again."""
