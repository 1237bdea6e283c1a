//! Rows that are locked, refused by the rule, or left by it as they were.
