//! The suite that every output must pass.
