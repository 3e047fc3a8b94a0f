//! The part of the query language that is understood: one table, and operators one behind the other.
//!
//! `let name = value;`, `where`, `project`, `extend`, `distinct`, `take`, `limit`, `top`, `count`, `summarize`, `order by`, comments.
//! Names are resolved while reading, so that a query with a column that is not there is refused before it runs.

mod expression;
mod lexer;
mod parser;
mod run;

pub(crate) use parser::parse;
pub(crate) use run::run;

use super::tables::{Column, Table};
use expression::Expression;

/// A query that is refused with 400. The text is its message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct KqlError(pub(crate) String);

impl KqlError {
    /// The text is no query from here on.
    fn unparsed(rest: &str, line: usize, column: usize) -> Self {
        let piece: String = rest.chars().take(20).take_while(|letter| *letter != '\n').collect();
        Self(format!(
            "A recognition error occurred in the query. Query could not be parsed at '{piece}' on line [{line},{column}]. \
             Fix syntax errors in your query."
        ))
    }

    /// A name is not known.
    fn unresolved(what: &str, name: &str) -> Self {
        Self(format!("Failed to resolve {what} named '{name}'. Fix semantic errors in your query."))
    }
}

/// A query that can be run.
#[derive(Debug)]
pub(crate) struct Query {
    /// Its table.
    pub(crate) table: &'static Table,
    /// What is done with its rows, in order.
    steps: Vec<Step>,
    /// Columns of the result.
    pub(crate) columns: Vec<Column>,
}

/// An operator.
#[derive(Debug)]
enum Step {
    /// Lets rows through.
    Where(Expression),
    /// New columns in place of the old ones.
    Project(Vec<Expression>),
    /// So many rows at most.
    Take(usize),
    /// Rows in order of expressions, each downwards or not.
    Sort(Vec<(Expression, bool)>),
    /// One row for each group, of its expressions and its figures.
    Summarize(Vec<Expression>, Vec<Figure>),
}

/// A figure over the rows of a group.
#[derive(Debug)]
enum Figure {
    /// Their number.
    Count,
    /// The number of different values.
    Distinct(Expression),
    /// The least value.
    Least(Expression),
    /// The greatest value.
    Greatest(Expression),
}

#[cfg(test)]
mod tests;
