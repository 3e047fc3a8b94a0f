//! Reads a query by recursive descent, and resolves its names on the way.

use super::expression::Expression;
use super::lexer::{Piece, Token, pieces};
use super::{Figure, Join, JoinKind, KqlError, Query, Step};
use crate::hunting::columns::{Column, Type};
use crate::hunting::tables::Table;
use crate::odata::Value;
use crate::ticks::Ticks;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How deep brackets may nest: a query must not exhaust the stack.
pub(super) const DEPTH_LIMIT: usize = 100;

/// Reads a query. `now` is what `now()` and `ago()` mean.
pub(crate) fn parse(text: &str, now: Ticks) -> Result<Query, KqlError> {
    let pieces = pieces(text)?;
    let (names, tables) = (BTreeMap::new(), BTreeMap::new());
    Parser { pieces, next: 0, now, names, tables, columns: Vec::new(), depth: 0 }.query()
}

/// Where the reading is.
pub(super) struct Parser {
    /// All pieces.
    pieces: Vec<Piece>,
    /// The piece that is read next.
    pub(super) next: usize,
    /// What `now()` means.
    pub(super) now: Ticks,
    /// Names given by `let`.
    pub(super) names: BTreeMap<String, Value<'static>>,
    /// Queries that `let` gives a name.
    tables: BTreeMap<String, Query>,
    /// Columns at this place of the query.
    pub(super) columns: Vec<Column>,
    /// Brackets around us.
    pub(super) depth: usize,
}

impl Parser {
    /// `let …; let …; Table | … | …;`
    fn query(mut self) -> Result<Query, KqlError> {
        while self.skip_word("let") {
            let name = self.word()?;
            self.sign("=")?;
            if self.is_table() {
                let query = self.tabular()?;
                self.tables.insert(name, query);
            } else {
                let Expression::Constant(value) = self.expression()? else { return Err(self.unexpected()) };
                self.names.insert(name, value);
            }
            self.sign(";")?;
        }
        let query = self.tabular()?;
        while self.skip_sign(";") {}
        if self.next < self.pieces.len() {
            return Err(self.unexpected());
        }
        Ok(query)
    }

    /// Whether what comes next is a table rather than a value.
    fn is_table(&self) -> bool {
        let known = |name: &str| Table::named(name).is_some() || self.tables.contains_key(name);
        matches!(self.token(0), Some(Token::Word(name)) if known(name) || name == "materialize")
    }

    /// `Table | … | …`, also in brackets or in `materialize(…)`. The columns around it are left alone.
    fn tabular(&mut self) -> Result<Query, KqlError> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.unexpected());
        }
        let around = std::mem::take(&mut self.columns);
        let mut query = if self.is_sign("(") || self.is_word("materialize") {
            self.skip_word("materialize");
            self.sign("(")?;
            let inner = self.tabular()?;
            self.sign(")")?;
            inner
        } else {
            let name = self.word()?;
            match (self.tables.get(&name), Table::named(&name)) {
                (Some(query), _) => query.clone(),
                (None, Some(table)) => Query { table, steps: Vec::new(), columns: table.columns.to_vec() },
                (None, None) => return Err(KqlError::unresolved("table or column expression", &name)),
            }
        };
        self.columns.clone_from(&query.columns);
        while self.skip_sign("|") {
            self.step(&mut query)?;
        }
        query.columns = std::mem::replace(&mut self.columns, around);
        self.depth -= 1;
        Ok(query)
    }

    /// One operator.
    fn step(&mut self, query: &mut Query) -> Result<(), KqlError> {
        // Rows of one machine follow each other as long as nothing but conditions has touched them.
        let by_machine = query.table.is_by_machine() && query.steps.iter().all(|step| matches!(step, Step::Where(_)));
        let machine = query.table.place("DeviceId").filter(|_| by_machine);
        let steps = &mut query.steps;
        match self.word()?.as_str() {
            "where" | "filter" => steps.push(Step::Where(self.expression()?)),
            "take" | "limit" => steps.push(Step::Take(self.number()?)),
            "project" if self.skip_sign("-") => {
                let how = self.word()?;
                steps.push(self.reshape(&how)?);
            }
            "project" => {
                let named = self.list(Self::named)?;
                steps.push(self.project(named));
            }
            "join" => steps.push(self.join("innerunique", true)?),
            "lookup" => steps.push(self.join("leftouter", false)?),
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
                steps.push(self.summarize(named, Vec::new(), machine));
            }
            "count" => {
                let count = (vec![column("Count", Type::Int64)], Figure::Count(None));
                steps.push(self.summarize(Vec::new(), vec![count], None));
            }
            "summarize" => {
                // What `*` means follows from the groups, which stand behind the figures.
                let start = self.next;
                if !self.is_word("by") {
                    self.list(|parser| parser.figure(&[]))?;
                }
                let groups = if self.skip_word("by") { self.list(Self::named)? } else { Vec::new() };
                let end = std::mem::replace(&mut self.next, start);
                let figures = if self.is_word("by") { Vec::new() } else { self.list(|parser| parser.figure(&groups))? };
                self.next = end;
                steps.push(self.summarize(groups, figures, machine));
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
    fn summarize(
        &mut self,
        groups: Vec<(Column, Expression)>,
        figures: Vec<(Vec<Column>, Figure)>,
        machine: Option<usize>,
    ) -> Step {
        let (mut columns, groups): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let (further, figures): (Vec<_>, Vec<_>) = figures.into_iter().unzip();
        columns.extend(further.into_iter().flatten());
        self.columns = columns;
        let is_group =
            |place: &usize| groups.iter().any(|group| matches!(group, Expression::Column(known) if known == place));
        Step::Summarize { together: machine.filter(is_group), groups, figures }
    }

    /// `project-away`, `project-keep` or `project-rename`, from behind the sign on.
    fn reshape(&mut self, how: &str) -> Result<Step, KqlError> {
        let named = self.list(Self::named)?;
        let place = |expression: &Expression| match expression {
            Expression::Column(place) => Some(*place),
            _ => None,
        };
        let all = self.columns.iter().cloned().enumerate();
        let kept: Vec<_> = match how {
            "away" | "keep" => {
                let named: Vec<_> = named.iter().filter_map(|(_, expression)| place(expression)).collect();
                let kept = all.filter(|(place, _)| named.contains(place) == (how == "keep"));
                kept.map(|(place, column)| (column, Expression::Column(place))).collect()
            }
            "rename" => all
                .map(|(at, column)| {
                    let new = named.iter().find(|(_, expression)| place(expression) == Some(at));
                    let name = new.map_or(column.name, |(new, _)| new.name.clone());
                    (Column { name, of: column.of }, Expression::Column(at))
                })
                .collect(),
            _ => return Err(self.unexpected()),
        };
        Ok(self.project(kept))
    }

    /// `kind=… (Table | …) on key, $left.key == $right.key`. `keys`: whether the other side's keys are shown.
    fn join(&mut self, kind: &str, keys: bool) -> Result<Step, KqlError> {
        let mut kind = kind.to_owned();
        while let (Some(Token::Word(hint)), Some(Token::Sign(sign))) = (self.token(0).cloned(), self.token(1).cloned())
        {
            if sign != "=" && sign != "." {
                break;
            }
            // Hints about how to do it, such as `hint.strategy=broadcast`, change no result.
            self.next += if sign == "." { 4 } else { 2 };
            let value = self.word()?;
            if hint == "kind" {
                kind = value;
            }
        }
        let kind = JoinKind::named(&kind).ok_or_else(|| KqlError::unresolved("kind of join", &kind))?;
        let right = self.tabular()?;
        self.keyword("on")?;
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        loop {
            let (left, other) = self.key()?;
            let place = |columns: &[Column], name: &str| {
                let found = columns.iter().position(|column| column.name == name);
                found.ok_or_else(|| KqlError::unresolved("scalar expression", name))
            };
            left_keys.push(place(&self.columns, &left)?);
            right_keys.push(place(&right.columns, &other)?);
            if !self.skip_sign(",") && !self.skip_word("and") {
                break;
            }
        }
        let mut shown = Vec::new();
        if kind.shows_right() {
            for (place, right) in right.columns.iter().enumerate() {
                if !keys && right_keys.contains(&place) {
                    continue;
                }
                shown.push(place);
                // A name that is taken gets a number.
                let taken = |name: &str| self.columns.iter().any(|column| column.name == name);
                let numbered = (1..).map(|number| format!("{}{number}", right.name));
                let name = std::iter::once(right.name.to_string()).chain(numbered).find(|name| !taken(name));
                self.columns.push(column(name.expect("numbers do not end"), right.of));
            }
        }
        Ok(Step::Join(Join { kind, right: Arc::new(right), left_keys, right_keys, shown }))
    }

    /// The two names of a key, which are often one.
    fn key(&mut self) -> Result<(String, String), KqlError> {
        let side = |parser: &mut Self, side: &str| {
            parser.keyword(side)?;
            parser.sign(".")?;
            parser.word()
        };
        if self.is_word("$left") {
            let left = side(self, "$left")?;
            self.sign("==")?;
            return Ok((left, side(self, "$right")?));
        }
        if self.is_word("$right") {
            let right = side(self, "$right")?;
            self.sign("==")?;
            return Ok((side(self, "$left")?, right));
        }
        let name = self.word()?;
        Ok((name.clone(), name))
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

    /// `count()`, `dcount(x)`, `arg_max(x, *)` and the like, each with or without a name. `groups`: the columns that `*` leaves out.
    fn figure(&mut self, groups: &[(Column, Expression)]) -> Result<(Vec<Column>, Figure), KqlError> {
        let given = match (self.token(0), self.token(1)) {
            (Some(Token::Word(name)), Some(Token::Sign(sign))) if sign == "=" => Some(name.clone()),
            _ => None,
        };
        if given.is_some() {
            self.next += 2;
        }
        let function = self.word()?;
        self.sign("(")?;
        let mut arguments = Vec::new();
        while !self.is_sign(")") {
            if !arguments.is_empty() && self.skip_sign("*") {
                arguments.extend(self.all_but(groups, arguments.first()));
            } else {
                arguments.push(self.named()?);
            }
            if !self.skip_sign(",") {
                break;
            }
        }
        self.sign(")")?;
        let first = arguments.first().cloned();
        let shown = match &first {
            Some((named, Expression::Column(_))) => named.name.to_string(),
            _ => String::new(),
        };
        let of_argument = first.as_ref().map_or(Type::String, |(named, _)| named.of);
        let one =
            |of, figure| Ok((vec![column(given.clone().unwrap_or_else(|| format!("{function}_{shown}")), of)], figure));
        match (function.as_str(), first.map(|(_, expression)| expression)) {
            ("count", None) => one(Type::Int64, Figure::Count(None)),
            ("countif", Some(condition)) => one(Type::Int64, Figure::Count(Some(condition))),
            ("dcount", Some(inner)) => one(Type::Int64, Figure::Distinct(inner)),
            ("min", Some(inner)) => one(of_argument, Figure::Least(inner)),
            ("max", Some(inner)) => one(of_argument, Figure::Greatest(inner)),
            ("sum", Some(inner)) => one(of_argument, Figure::Sum(inner)),
            ("avg", Some(inner)) => one(Type::Double, Figure::Mean(inner)),
            ("make_set", Some(inner)) => one(Type::Dynamic, Figure::Set(inner)),
            ("arg_max" | "arg_min", Some(by)) => {
                let (mut columns, shown): (Vec<_>, Vec<_>) = arguments.into_iter().unzip();
                if let (Some(name), Some(first)) = (given, columns.first_mut()) {
                    first.name = name.into();
                }
                Ok((columns, Figure::Extreme { by, greatest: function == "arg_max", shown }))
            }
            ("take_any" | "any", Some(_)) => {
                let (columns, shown) = arguments.into_iter().unzip();
                Ok((columns, Figure::Any(shown)))
            }
            _ => Err(KqlError::unresolved("aggregate", &function)),
        }
    }

    /// All columns but those of the groups and the one that is looked for.
    fn all_but(
        &self,
        groups: &[(Column, Expression)],
        first: Option<&(Column, Expression)>,
    ) -> Vec<(Column, Expression)> {
        let is = |known: &(Column, Expression), place| matches!(known.1, Expression::Column(known) if known == place);
        let all = self.columns.iter().cloned().enumerate();
        let left_out = |place| groups.iter().chain(first).any(|known| is(known, place));
        all.filter(|(place, _)| !left_out(*place)).map(|(place, column)| (column, Expression::Column(place))).collect()
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

    /// Things with commas between them.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, KqlError>,
    ) -> Result<Vec<T>, KqlError> {
        let mut list = vec![read(self)?];
        while self.skip_sign(",") {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// The piece so many places ahead.
    pub(super) fn token(&self, ahead: usize) -> Option<&Token> {
        self.pieces.get(self.next + ahead).map(|piece| &piece.token)
    }

    /// A name or a keyword.
    pub(super) fn word(&mut self) -> Result<String, KqlError> {
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
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.token(0), Some(Token::Word(next)) if next == word)
    }

    /// Whether this sign comes next.
    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.token(0), Some(Token::Sign(next)) if next == sign)
    }

    /// Steps over a word when it comes next.
    pub(super) fn skip_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        self.next += usize::from(there);
        there
    }

    /// Steps over a sign when it comes next.
    pub(super) fn skip_sign(&mut self, sign: &str) -> bool {
        let there = self.is_sign(sign);
        self.next += usize::from(there);
        there
    }

    /// Steps over a word, which must come next.
    fn keyword(&mut self, word: &str) -> Result<(), KqlError> {
        if self.skip_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Steps over a sign, which must come next.
    pub(super) fn sign(&mut self, sign: &str) -> Result<(), KqlError> {
        if self.skip_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The error at this place.
    pub(super) fn unexpected(&self) -> KqlError {
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
