//! Values that the configuration hides are replaced before anything is stored.

/// One rule of `obfuscation_data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obfuscation {
    /// Path in the record as the API gave it, through arrays to each element.
    pub path: Vec<String>,
    /// JSON text that takes the value's place.
    pub value: String,
}
