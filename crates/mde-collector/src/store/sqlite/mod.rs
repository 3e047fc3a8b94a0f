//! SQLite behind the store's traits.
