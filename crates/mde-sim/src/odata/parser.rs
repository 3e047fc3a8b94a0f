//! Filters by recursive descent: `or` binds loosest, then `and`, then `not`, then comparisons.

use super::filter::{Filter, Name, Operator, fits};
use super::lexer::{Token, tokens};
use super::{Field, QueryError, Schema, Value};
use std::borrow::Cow;

/// How deep brackets and `not` may nest: a filter must not exhaust the stack.
const DEPTH_LIMIT: usize = 100;

/// Reads a filter over the properties of a schema.
pub(crate) fn parse(text: &str, schema: &'static Schema) -> Result<Filter, QueryError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, schema, depth: 0 };
    let filter = parser.either()?;
    match parser.peek() {
        None => Ok(filter),
        Some(_) => Err(parser.unexpected()),
    }
}

/// Where the reading is.
struct Parser<'a> {
    /// All pieces.
    tokens: Vec<Token<'a>>,
    /// The piece that is read next.
    next: usize,
    /// Names that are known.
    schema: &'static Schema,
    /// Brackets and `not`s around us.
    depth: usize,
}

/// One side of a comparison.
enum Operand {
    /// A property.
    Field(&'static Field),
    /// A literal.
    Literal(Value<'static>),
}

impl<'a> Parser<'a> {
    /// `a or b or …`
    fn either(&mut self) -> Result<Filter, QueryError> {
        let mut filter = self.both()?;
        while self.skip(&Token::Word("or")) {
            filter = Filter::Or(Box::new(filter), Box::new(self.both()?));
        }
        Ok(filter)
    }

    /// `a and b and …`
    fn both(&mut self) -> Result<Filter, QueryError> {
        let mut filter = self.single()?;
        while self.skip(&Token::Word("and")) {
            filter = Filter::And(Box::new(filter), Box::new(self.single()?));
        }
        Ok(filter)
    }

    /// `not a`, `(a)`, a function or a comparison.
    fn single(&mut self) -> Result<Filter, QueryError> {
        if self.skip(&Token::Word("not")) {
            return Ok(Filter::Not(Box::new(self.deeper(Self::single)?)));
        }
        if self.skip(&Token::Open) {
            let filter = self.deeper(Self::either)?;
            self.expect(&Token::Close)?;
            return Ok(filter);
        }
        if self.peek() == Some(&Token::Word("startswith")) {
            self.next += 1;
            return self.starts_with();
        }
        self.comparison()
    }

    /// `(property,'text')` and what may follow: ` eq true` or ` eq false`.
    fn starts_with(&mut self) -> Result<Filter, QueryError> {
        self.expect(&Token::Open)?;
        let Operand::Field(field) = self.operand()? else { return Err(self.unexpected()) };
        self.expect(&Token::Comma)?;
        let start = match self.operand()? {
            Operand::Literal(Value::Text(start)) if fits(field, &Value::Text(Cow::Borrowed(""))) => start.into_owned(),
            _ => {
                return Err(QueryError(
                    "No function signature for the function with name 'startswith' matches the specified arguments."
                        .to_owned(),
                ));
            }
        };
        self.expect(&Token::Close)?;
        let filter = Filter::StartsWith(field.name, start);
        if !self.skip(&Token::Word("eq")) {
            return Ok(filter);
        }
        match self.operand()? {
            Operand::Literal(Value::Bool(true)) => Ok(filter),
            Operand::Literal(Value::Bool(false)) => Ok(Filter::Not(Box::new(filter))),
            _ => Err(self.unexpected()),
        }
    }

    /// `property op literal`, `literal op property` or `property in (literal, …)`.
    fn comparison(&mut self) -> Result<Filter, QueryError> {
        let left = self.operand()?;
        if self.skip(&Token::Word("in")) {
            let Operand::Field(field) = left else { return Err(self.unexpected()) };
            return self.list(field);
        }
        let operator = match self.peek() {
            Some(Token::Word(word)) => Operator::named(word),
            _ => None,
        };
        let Some(operator) = operator else { return Err(self.unexpected()) };
        self.next += 1;
        let (field, operator, literal) = match (left, self.operand()?) {
            (Operand::Field(field), Operand::Literal(literal)) => (field, operator, literal),
            (Operand::Literal(literal), Operand::Field(field)) => (field, operator.mirrored(), literal),
            _ => {
                return Err(QueryError(
                    "A binary operator needs a property on one side and a literal on the other.".to_owned(),
                ));
            }
        };
        Ok(Filter::Compare(checked(field, &literal)?, operator, literal))
    }

    /// The literals behind `in`.
    fn list(&mut self, field: &'static Field) -> Result<Filter, QueryError> {
        self.expect(&Token::Open)?;
        let mut literals = Vec::new();
        loop {
            let Operand::Literal(literal) = self.operand()? else { return Err(self.unexpected()) };
            checked(field, &literal)?;
            literals.push(literal);
            if !self.skip(&Token::Comma) {
                self.expect(&Token::Close)?;
                return Ok(Filter::In(field.name, literals));
            }
        }
    }

    /// A property or a literal.
    fn operand(&mut self) -> Result<Operand, QueryError> {
        let operand = match self.peek() {
            Some(Token::Literal(value)) => Operand::Literal(owned(value)),
            Some(Token::Word(word)) => Operand::Field(self.field(word)?),
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(operand)
    }

    /// The filterable property of this name.
    fn field(&self, name: &str) -> Result<&'static Field, QueryError> {
        let set = self.schema.set.trim_end_matches('s');
        match self.schema.field(name) {
            Some(field) if field.filterable => Ok(field),
            Some(_) => Err(QueryError(format!("The property '{name}' cannot be used in the $filter query option."))),
            None => Err(QueryError(format!(
                "Could not find a property named '{name}' on type '{}{set}'.",
                self.schema.manner.namespace
            ))),
        }
    }

    /// Reads something one level deeper.
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Filter, QueryError>) -> Result<Filter, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(QueryError(format!(
                "Recursion limit reached: the filter nests deeper than {DEPTH_LIMIT} levels."
            )));
        }
        let filter = read(self);
        self.depth -= 1;
        filter
    }

    /// The piece that comes next.
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.next)
    }

    /// Steps over the piece when it is this one.
    fn skip(&mut self, token: &Token<'_>) -> bool {
        let there = self.peek() == Some(token);
        self.next += usize::from(there);
        there
    }

    /// Steps over the piece, which must be this one.
    fn expect(&mut self, token: &Token<'_>) -> Result<(), QueryError> {
        if self.skip(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The error at this place.
    fn unexpected(&self) -> QueryError {
        match self.peek() {
            Some(token) => {
                QueryError(format!("Syntax error at part {} of the filter: unexpected {token:?}.", self.next + 1))
            }
            None => QueryError("Syntax error: the filter ends too early.".to_owned()),
        }
    }
}

/// The property's name, when the literal can stand against it.
fn checked(field: &'static Field, literal: &Value<'_>) -> Result<Name, QueryError> {
    match fits(field, literal) {
        true => Ok(field.name),
        false => Err(QueryError(format!(
            "A binary operator with incompatible types was detected: the property '{}' cannot be compared with this literal.",
            field.name
        ))),
    }
}

/// The literal without ties to the query's text.
fn owned(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Text(text) => Value::Text(Cow::Owned(text.clone().into_owned())),
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(*value),
        Value::Integer(value) => Value::Integer(*value),
        Value::Float(value) => Value::Float(*value),
        Value::Time(value) => Value::Time(*value),
    }
}
