//! Reads expressions over one row.

use super::KqlError;
use super::expression::{Arithmetic, Comparison, Expression, Function};
use super::lexer::Token;
use super::parser::{DEPTH_LIMIT, Parser};
use crate::hunting::columns::Type;
use crate::odata::Value;

impl Parser {
    /// `a or b or …`
    pub(super) fn expression(&mut self) -> Result<Expression, KqlError> {
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
            "between" => {
                self.next += 1;
                self.sign("(")?;
                let least = self.sum()?;
                self.sign("..")?;
                let most = self.sum()?;
                self.sign(")")?;
                let bound = |how, bound| Expression::Compare(how, Box::new(left.clone()), Box::new(bound));
                let (least, most) = (bound(Comparison::AtLeast, least), bound(Comparison::AtMost, most));
                return Ok(maybe_not(Expression::And(Box::new(least), Box::new(most)), negated));
            }
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
        let mut left = self.product()?;
        loop {
            let plus = self.is_sign("+");
            if !plus && !self.is_sign("-") {
                return Ok(left);
            }
            self.next += 1;
            left = Expression::Add(Box::new(left), Box::new(self.product()?), plus).constant();
        }
    }

    /// `a * b / …`
    fn product(&mut self) -> Result<Expression, KqlError> {
        let mut left = self.operand()?;
        while let Some(how) = Arithmetic::ALL.into_iter().find(|how| self.is_sign(how.sign())) {
            self.next += 1;
            left = Expression::Product(how, Box::new(left), Box::new(self.operand()?));
        }
        Ok(left)
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
        let arguments = if self.is_sign(")") { Vec::new() } else { self.list(Self::expression)? };
        self.sign(")")?;
        if let Some(function) = Function::named(name, arguments.len()) {
            return Ok(Expression::Call(function, arguments));
        }
        let mut arguments = arguments.into_iter();
        Ok(match (name, arguments.next(), arguments.next()) {
            ("now", None, None) => Expression::Constant(Value::Time(self.now)),
            ("ago", Some(Expression::Constant(Value::Integer(steps))), None) => {
                Expression::Constant(Value::Time(self.now.plus(-steps)))
            }
            ("todatetime" | "parse_json" | "todynamic", Some(inner), None) => inner,
            ("pack_all", None, None) => Expression::PackAll(self.columns.clone().into()),
            ("tostring", Some(inner), None) => Expression::ToText(Box::new(inner)),
            ("hash", Some(inner), Some(Expression::Constant(Value::Integer(limit @ 1..)))) => {
                Expression::Hash(Box::new(inner), limit.unsigned_abs())
            }
            ("hash", Some(inner), None) => Expression::Hash(Box::new(inner), i64::MAX as u64),
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
    pub(super) fn kind(&self, expression: &Expression) -> Type {
        match expression {
            Expression::Column(place) => self.columns[*place].of,
            Expression::Constant(Value::Time(_)) => Type::DateTime,
            Expression::Constant(Value::Integer(_)) | Expression::Hash(..) => Type::Int64,
            Expression::Constant(Value::Float(_)) => Type::Double,
            Expression::Constant(_) | Expression::ToText(_) | Expression::PackAll(_) => Type::String,
            Expression::Bin(inner, _) | Expression::Add(inner, ..) | Expression::Product(_, inner, _) => {
                self.kind(inner)
            }
            Expression::Call(function, arguments) => match function.gives() {
                Some(of) => of,
                None => arguments.last().map_or(Type::String, |last| self.kind(last)),
            },
            _ => Type::SByte,
        }
    }
}

/// The expression or its contrary.
fn maybe_not(expression: Expression, negated: bool) -> Expression {
    if negated { Expression::Not(Box::new(expression)) } else { expression }
}
