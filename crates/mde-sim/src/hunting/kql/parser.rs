//! Reads a query by recursive descent, and resolves its names on the way.

use super::expression::{Comparison, Expression};
use super::lexer::{Piece, Token, pieces};
use super::{Figure, KqlError, Query, Step};
use crate::hunting::tables::{Column, Table, Type};
use crate::odata::Value;
use crate::ticks::Ticks;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How deep brackets may nest: a query must not exhaust the stack.
const DEPTH_LIMIT: usize = 100;

/// Reads a query. `now` is what `now()` and `ago()` mean.
pub(crate) fn parse(text: &str, now: Ticks) -> Result<Query, KqlError> {
    let pieces = pieces(text)?;
    Parser { pieces, next: 0, now, names: BTreeMap::new(), columns: Vec::new(), depth: 0 }.query()
}

/// Where the reading is.
struct Parser {
    /// All pieces.
    pieces: Vec<Piece>,
    /// The piece that is read next.
    next: usize,
    /// What `now()` means.
    now: Ticks,
    /// Names given by `let`.
    names: BTreeMap<String, Value<'static>>,
    /// Columns at this place of the query.
    columns: Vec<Column>,
    /// Brackets around us.
    depth: usize,
}

impl Parser {
    /// `let …; let …; Table | … | …;`
    fn query(mut self) -> Result<Query, KqlError> {
        while self.skip_word("let") {
            let name = self.word()?;
            self.sign("=")?;
            let Expression::Constant(value) = self.expression()? else { return Err(self.unexpected()) };
            self.names.insert(name, value);
            self.sign(";")?;
        }
        let name = self.word()?;
        let table = Table::named(&name).ok_or_else(|| KqlError::unresolved("table or column expression", &name))?;
        self.columns = table.columns.to_vec();
        let mut steps = Vec::new();
        while self.skip_sign("|") {
            self.step(&mut steps)?;
        }
        while self.skip_sign(";") {}
        if self.next < self.pieces.len() {
            return Err(self.unexpected());
        }
        Ok(Query { table, steps, columns: self.columns })
    }

    /// One operator.
    fn step(&mut self, steps: &mut Vec<Step>) -> Result<(), KqlError> {
        match self.word()?.as_str() {
            "where" | "filter" => steps.push(Step::Where(self.expression()?)),
            "take" | "limit" => steps.push(Step::Take(self.number()?)),
            "project" => {
                let named = self.list(Self::named)?;
                steps.push(self.project(named));
            }
            "extend" => {
                let named = self.list(Self::named)?;
                let kept = self
                    .columns
                    .iter()
                    .enumerate()
                    .filter(|(_, column)| !named.iter().any(|(new, _)| new.name == column.name));
                let all: Vec<_> = kept.map(|(place, column)| (column.clone(), Expression::Column(place))).collect();
                steps.push(self.project(all.into_iter().chain(named).collect()));
            }
            "distinct" => {
                let named = if self.skip_sign("*") {
                    let all = self.columns.iter().cloned().enumerate();
                    all.map(|(place, column)| (column, Expression::Column(place))).collect()
                } else {
                    self.list(Self::named)?
                };
                steps.push(self.summarize(named, Vec::new()));
            }
            "count" => {
                let count = (column("Count", Type::Int64), Figure::Count);
                steps.push(self.summarize(Vec::new(), vec![count]));
            }
            "summarize" => {
                let figures = if self.is_word("by") { Vec::new() } else { self.list(Self::figure)? };
                let groups = if self.skip_word("by") { self.list(Self::named)? } else { Vec::new() };
                steps.push(self.summarize(groups, figures));
            }
            "order" | "sort" => {
                self.keyword("by")?;
                steps.push(Step::Sort(self.list(Self::order)?));
            }
            "top" => {
                let count = self.number()?;
                self.keyword("by")?;
                steps.push(Step::Sort(self.list(Self::order)?));
                steps.push(Step::Take(count));
            }
            _ => {
                self.next -= 1;
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    /// New columns in place of the old ones.
    fn project(&mut self, named: Vec<(Column, Expression)>) -> Step {
        let (columns, expressions) = named.into_iter().unzip();
        self.columns = columns;
        Step::Project(expressions)
    }

    /// Groups and their figures in place of the old columns.
    fn summarize(&mut self, groups: Vec<(Column, Expression)>, figures: Vec<(Column, Figure)>) -> Step {
        let (mut columns, groups): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let (further, figures): (Vec<_>, Vec<_>) = figures.into_iter().unzip();
        columns.extend(further);
        self.columns = columns;
        Step::Summarize(groups, figures)
    }

    /// `expression` or `name = expression`. A bare expression is named after its column, or by its place.
    fn named(&mut self) -> Result<(Column, Expression), KqlError> {
        let given = match (self.token(0), self.token(1)) {
            (Some(Token::Word(name)), Some(Token::Sign(sign))) if sign == "=" => Some(name.clone()),
            _ => None,
        };
        if given.is_some() {
            self.next += 2;
        }
        let expression = self.expression()?;
        let of = self.kind(&expression);
        let inner = match &expression {
            Expression::Bin(inner, _) => inner,
            other => other,
        };
        let name = match (given, inner) {
            (Some(name), _) => name,
            (None, Expression::Column(place)) => self.columns[*place].name.to_string(),
            (None, _) => "Column1".to_owned(),
        };
        Ok((column(name, of), expression))
    }

    /// `count()`, `dcount(x)`, `min(x)`, `max(x)`, each with or without a name.
    fn figure(&mut self) -> Result<(Column, Figure), KqlError> {
        let given = match (self.token(0), self.token(1)) {
            (Some(Token::Word(name)), Some(Token::Sign(sign))) if sign == "=" => Some(name.clone()),
            _ => None,
        };
        if given.is_some() {
            self.next += 2;
        }
        let function = self.word()?;
        self.sign("(")?;
        let argument = if self.is_sign(")") { None } else { Some(self.expression()?) };
        self.sign(")")?;
        let shown = match &argument {
            Some(Expression::Column(place)) => self.columns[*place].name.to_string(),
            _ => String::new(),
        };
        let named = |of| column(given.clone().unwrap_or_else(|| format!("{function}_{shown}")), of);
        Ok(match (function.as_str(), argument) {
            ("count", None) => (named(Type::Int64), Figure::Count),
            ("dcount", Some(inner)) => (named(Type::Int64), Figure::Distinct(inner)),
            ("min", Some(inner)) => (named(self.kind(&inner)), Figure::Least(inner)),
            ("max", Some(inner)) => (named(self.kind(&inner)), Figure::Greatest(inner)),
            _ => return Err(KqlError::unresolved("aggregate", &function)),
        })
    }

    /// `expression`, `expression asc` or `expression desc`; without a word it is downwards.
    fn order(&mut self) -> Result<(Expression, bool), KqlError> {
        let expression = self.expression()?;
        let upwards = self.skip_word("asc");
        if !upwards {
            self.skip_word("desc");
        }
        Ok((expression, !upwards))
    }

    /// `a or b or …`
    fn expression(&mut self) -> Result<Expression, KqlError> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.unexpected());
        }
        let mut left = self.both()?;
        while self.skip_word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.both()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    /// `a and b and …`
    fn both(&mut self) -> Result<Expression, KqlError> {
        let mut left = self.comparison()?;
        while self.skip_word("and") {
            left = Expression::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    /// `a`, `a == b`, `a in (…)` and the like.
    fn comparison(&mut self) -> Result<Expression, KqlError> {
        let left = self.sum()?;
        let (word, negated) = match self.token(0) {
            Some(Token::Word(word)) => (word.clone(), false),
            Some(Token::Sign(sign)) => match sign.strip_prefix('!').filter(|rest| !["=", ""].contains(rest)) {
                Some("~") => ("=~".to_owned(), true),
                Some(word) => (word.to_owned(), true),
                None => (sign.clone(), false),
            },
            _ => return Ok(left),
        };
        let how = match word.as_str() {
            "==" => Comparison::Equal,
            "!=" => Comparison::Unequal,
            "=~" => Comparison::EqualText,
            "<" => Comparison::Less,
            "<=" => Comparison::AtMost,
            ">" => Comparison::More,
            ">=" => Comparison::AtLeast,
            "contains" => Comparison::Contains,
            "startswith" => Comparison::StartsWith,
            "endswith" => Comparison::EndsWith,
            "has" => Comparison::Has,
            "in" => {
                self.next += 1;
                let with_case = !self.skip_sign("~");
                self.sign("(")?;
                let others = self.list(Self::sum)?;
                self.sign(")")?;
                return Ok(maybe_not(Expression::In(Box::new(left), others, with_case), negated));
            }
            _ => return Ok(left),
        };
        self.next += 1;
        let right = self.sum()?;
        Ok(maybe_not(Expression::Compare(how, Box::new(left), Box::new(right)), negated))
    }

    /// `a + b - …`
    fn sum(&mut self) -> Result<Expression, KqlError> {
        let mut left = self.operand()?;
        loop {
            let plus = self.is_sign("+");
            if !plus && !self.is_sign("-") {
                return Ok(left);
            }
            self.next += 1;
            left = Expression::Add(Box::new(left), Box::new(self.operand()?), plus).constant();
        }
    }

    /// A literal, a name, a function or something in brackets.
    fn operand(&mut self) -> Result<Expression, KqlError> {
        let Some(token) = self.token(0).cloned() else { return Err(self.unexpected()) };
        self.next += 1;
        Ok(Expression::Constant(match token {
            Token::Text(text) => Value::Text(text.into()),
            Token::Integer(number) | Token::Span(number) => Value::Integer(number),
            Token::Real(number) => Value::Float(number),
            Token::Time(at) => Value::Time(at),
            Token::Sign(sign) if sign == "(" => {
                let inner = self.expression()?;
                self.sign(")")?;
                return Ok(inner);
            }
            Token::Sign(sign) if sign == "-" => match self.operand()? {
                Expression::Constant(Value::Integer(number)) => Value::Integer(-number),
                Expression::Constant(Value::Float(number)) => Value::Float(-number),
                _ => return Err(self.unexpected()),
            },
            Token::Word(word) if self.is_sign("(") => return self.function(&word),
            Token::Word(word) => return self.name(&word),
            Token::Sign(_) => {
                self.next -= 1;
                return Err(self.unexpected());
            }
        }))
    }

    /// A column, a name given by `let`, or a truth.
    fn name(&self, word: &str) -> Result<Expression, KqlError> {
        if let Some(place) = self.columns.iter().position(|column| column.name == word) {
            return Ok(Expression::Column(place));
        }
        match (word, self.names.get(word)) {
            (_, Some(value)) => Ok(Expression::Constant(value.clone())),
            ("true", _) => Ok(Expression::Constant(Value::Integer(1))),
            ("false", _) => Ok(Expression::Constant(Value::Integer(0))),
            _ => Err(KqlError::unresolved("scalar expression", word)),
        }
    }

    /// A function and its arguments.
    fn function(&mut self, name: &str) -> Result<Expression, KqlError> {
        self.sign("(")?;
        let mut arguments = if self.is_sign(")") { Vec::new() } else { self.list(Self::expression)? }.into_iter();
        self.sign(")")?;
        Ok(match (name, arguments.next(), arguments.next()) {
            ("now", None, None) => Expression::Constant(Value::Time(self.now)),
            ("ago", Some(Expression::Constant(Value::Integer(steps))), None) => {
                Expression::Constant(Value::Time(self.now.plus(-steps)))
            }
            ("todatetime", Some(inner), None) => inner,
            ("pack_all", None, None) => Expression::PackAll(self.columns.clone().into()),
            ("tostring", Some(inner), None) => Expression::ToText(Box::new(inner)),
            ("hash", Some(inner), Some(Expression::Constant(Value::Integer(limit @ 1..)))) => {
                Expression::Hash(Box::new(inner), limit.unsigned_abs())
            }
            ("not", Some(inner), None) => Expression::Not(Box::new(inner)),
            ("isempty" | "isnull", Some(inner), None) => Expression::IsEmpty(Box::new(inner)),
            ("isnotempty" | "isnotnull", Some(inner), None) => {
                Expression::Not(Box::new(Expression::IsEmpty(Box::new(inner))))
            }
            ("bin", Some(value), Some(step)) => Expression::Bin(Box::new(value), Box::new(step)),
            _ => return Err(KqlError::unresolved("scalar function", name)),
        })
    }

    /// What an expression gives.
    fn kind(&self, expression: &Expression) -> Type {
        match expression {
            Expression::Column(place) => self.columns[*place].of,
            Expression::Constant(Value::Time(_)) => Type::DateTime,
            Expression::Constant(Value::Integer(_)) | Expression::Hash(..) => Type::Int64,
            Expression::Constant(Value::Float(_)) => Type::Double,
            Expression::Constant(_) | Expression::ToText(_) | Expression::PackAll(_) => Type::String,
            Expression::Bin(inner, _) | Expression::Add(inner, ..) => self.kind(inner),
            _ => Type::SByte,
        }
    }

    /// Things with commas between them.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, KqlError>) -> Result<Vec<T>, KqlError> {
        let mut list = vec![read(self)?];
        while self.skip_sign(",") {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// The piece so many places ahead.
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.pieces.get(self.next + ahead).map(|piece| &piece.token)
    }

    /// A name or a keyword.
    fn word(&mut self) -> Result<String, KqlError> {
        let Some(Token::Word(word)) = self.token(0) else { return Err(self.unexpected()) };
        let word = word.clone();
        self.next += 1;
        Ok(word)
    }

    /// A whole number that is not negative.
    fn number(&mut self) -> Result<usize, KqlError> {
        let Some(Token::Integer(number)) = self.token(0) else { return Err(self.unexpected()) };
        let number = usize::try_from(*number).unwrap_or(usize::MAX);
        self.next += 1;
        Ok(number)
    }

    /// Whether this word comes next.
    fn is_word(&self, word: &str) -> bool {
        matches!(self.token(0), Some(Token::Word(next)) if next == word)
    }

    /// Whether this sign comes next.
    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.token(0), Some(Token::Sign(next)) if next == sign)
    }

    /// Steps over a word when it comes next.
    fn skip_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        self.next += usize::from(there);
        there
    }

    /// Steps over a sign when it comes next.
    fn skip_sign(&mut self, sign: &str) -> bool {
        let there = self.is_sign(sign);
        self.next += usize::from(there);
        there
    }

    /// Steps over a word, which must come next.
    fn keyword(&mut self, word: &str) -> Result<(), KqlError> {
        if self.skip_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Steps over a sign, which must come next.
    fn sign(&mut self, sign: &str) -> Result<(), KqlError> {
        if self.skip_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The error at this place.
    fn unexpected(&self) -> KqlError {
        match self.pieces.get(self.next) {
            Some(piece) => {
                let shown = match &piece.token {
                    Token::Word(text) | Token::Sign(text) | Token::Text(text) => text.clone(),
                    Token::Integer(number) | Token::Span(number) => number.to_string(),
                    Token::Real(number) => number.to_string(),
                    Token::Time(at) => at.to_string(),
                };
                KqlError::unparsed(&shown, piece.line, piece.column)
            }
            None => KqlError::unparsed("<EOF>", 1, 1),
        }
    }
}

/// A column.
fn column(name: impl Into<Cow<'static, str>>, of: Type) -> Column {
    Column { name: name.into(), of }
}

/// The expression or its contrary.
fn maybe_not(expression: Expression, negated: bool) -> Expression {
    if negated { Expression::Not(Box::new(expression)) } else { expression }
}
