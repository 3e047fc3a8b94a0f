//! What is wrong with a configuration, told so that a person can mend it without a manual.

use serde::Serialize;
use std::fmt;

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing runs with it.
    Error,
    /// It runs, perhaps not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem at one place. No part of it holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it stops us.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// Column, from 1. Unit: characters.
    pub column: Option<usize>,
    /// The key's path, such as `inputs.acme.services.alerts.overlap`; empty at the top.
    pub path: String,
    /// The text that is wrong, as written; none where it is missing or not to be shown.
    pub text: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
    /// The line itself, its secrets masked.
    pub snippet: Option<Snippet>,
}

/// A line of the file with the part that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// The line; a window of it when it is long.
    pub text: String,
    /// Characters before the part that matters.
    pub offset: usize,
    /// Characters of that part, at least 1.
    pub width: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}: ", self.severity)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let (Some(line), Some(snippet)) = (self.line, &self.snippet) {
            write!(f, "\n{line:>5} | {}", snippet.text)?;
            write!(f, "\n      | {:offset$}{:^<width$}", "", "", offset = snippet.offset, width = snippet.width)?;
        }
        match &self.help {
            Some(help) => write!(f, "\n      = {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file; at least one is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// How many of them stop us.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.0.iter().filter(|problem| problem.severity == Severity::Error).count()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            write!(f, "{problem}\n\n")?;
        }
        let errors = self.error_count();
        f.write_str(&counted(errors, "error"))?;
        match self.0.len() - errors {
            0 => Ok(()),
            warnings => write!(f, ", {}", counted(warnings, "warning")),
        }
    }
}

impl std::error::Error for Problems {}

/// `1 error`, `2 errors`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// What is wrong with one value and the way out; where it stands is known by whoever asked for it.
///
/// The message of a fault that a reader returns goes on after the value: "is not a duration".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
}

impl Fault {
    /// A fault without a way out.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// Adds the way out.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
