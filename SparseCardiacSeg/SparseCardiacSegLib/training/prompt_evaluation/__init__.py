"""How good a promptable model is with prompts drawn from a reference."""
