"""What a user sees: one class and one .ui file a panel; the only part of the library that imports qt and ctk."""
