//! The part of the query language that is understood: a table, operators one behind the other, and other tables joined to it.
//!
//! `let` of values and tables, `where`, `project` (`-away`, `-keep`, `-rename`), `extend`, `distinct`, `take`, `limit`, `top`, `count`,
//! `summarize`, `join`, `lookup`, `order by`, comments.
//! Names are resolved while reading, so that a query with a column that is not there is refused before it runs.

mod expression;
mod figure;
mod join;
mod lexer;
mod parser;
mod run;
mod scalar;

pub(crate) use parser::parse;
pub(crate) use run::{Moment, run};

use super::columns::Column;
use super::tables::Table;
use expression::Expression;
use figure::Figure;
use join::{Join, JoinKind};

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
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Its table.
    pub(crate) table: &'static Table,
    /// What is done with its rows, in order.
    steps: Vec<Step>,
    /// Columns of the result.
    pub(crate) columns: Vec<Column>,
}

/// An operator.
#[derive(Clone, Debug)]
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
    Summarize {
        /// What makes a group.
        groups: Vec<Expression>,
        /// What is said of it.
        figures: Vec<Figure>,
        /// The place of a group's expression whose equal values follow each other: no group needs to be kept behind them.
        together: Option<usize>,
    },
    /// Rows together with those of another query that have the same keys.
    Join(Join),
}

#[cfg(test)]
mod tests;
