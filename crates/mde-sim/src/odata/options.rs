//! The query options of a list call.

use super::filter::Filter;
use super::{Field, Manner, QueryError, Schema, parser};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded;

/// What a list call asks for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Rows wanted.
    pub(crate) filter: Option<Filter>,
    /// Rows at most; without it pages carry links.
    pub(crate) top: Option<usize>,
    /// Rows to leave out.
    pub(crate) skip: usize,
    /// Whether `$skiptoken` told that, as only links do.
    pub(crate) by_token: bool,
    /// Order wanted: properties, and whether downwards.
    pub(crate) order_by: Vec<(&'static Field, bool)>,
    /// Whether the expandable property is filled.
    pub(crate) expand: bool,
    /// Whether the number of all matching rows is told.
    pub(crate) count: bool,
}

impl Options {
    /// Reads a raw query string. Names without `$` are not OData's and are left alone.
    pub(crate) fn parse(query: &str, schema: &'static Schema) -> Result<Self, QueryError> {
        let mut options = Self { expand: schema.manner.inline, ..Self::default() };
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !name.starts_with('$') {
                continue;
            }
            if seen.contains(&name) {
                return Err(QueryError(format!(
                    "Query option '{name}' was specified more than once, but it must be specified at most once."
                )));
            }
            match name.as_ref() {
                "$filter" => options.filter = Some(parser::parse(&value, schema)?),
                "$top" if schema.manner.clamps_top => {
                    options.top = Some(limited(&name, &value, usize::MAX)?.min(schema.top_limit));
                }
                "$top" => options.top = Some(limited(&name, &value, schema.top_limit)?),
                "$skip" => options.skip = limited(&name, &value, schema.manner.skip_limit)?,
                "$skiptoken" if schema.manner.tokens => {
                    options.skip = place(&value).ok_or_else(|| {
                        QueryError(format!("Invalid value '{value}' for $skiptoken query option found."))
                    })?;
                    options.by_token = true;
                }
                "$orderby" => {
                    options.order_by = value.split(',').map(|part| order(part, schema)).collect::<Result<_, _>>()?
                }
                "$expand" if schema.expand == Some(value.trim()) => options.expand = true,
                "$expand" => return Err(QueryError(format!("Could not find a property named '{value}' to expand."))),
                "$count" => {
                    options.count = value
                        .parse()
                        .map_err(|_| QueryError(format!("Invalid value '{value}' for $count query option found.")))?;
                }
                _ => return Err(QueryError(format!("The query parameter '{name}' is not supported."))),
            }
            seen.push(name);
        }
        Ok(options)
    }
}

/// The same query for another place in the list: each option as it was spelled, but for the one that tells the place.
pub(crate) fn moved(query: &str, skip: usize, by_token: bool) -> String {
    let mut moved = without(&without(query, "$skip"), "$skiptoken");
    if !moved.is_empty() {
        moved.push('&');
    }
    moved.push_str(&match by_token {
        true => format!("$skiptoken={}", URL_SAFE_NO_PAD.encode(format!("skip:{skip}"))),
        false => format!("$skip={skip}"),
    });
    moved
}

/// The place that a token of [`moved`] tells.
fn place(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("skip:")?.parse().ok()
}

impl Options {
    /// Whether the request follows a link: nobody else tells a place in this way.
    pub(crate) fn follows_link(&self, manner: &Manner) -> bool {
        self.by_token || !manner.links_with_top && self.skip > 0 && self.top.is_none()
    }
}

/// The query without an option.
pub(crate) fn without(query: &str, option: &str) -> String {
    let kept = query.split('&').filter(|piece| {
        !piece.is_empty() && form_urlencoded::parse(piece.as_bytes()).next().is_none_or(|(name, _)| name != option)
    });
    kept.collect::<Vec<_>>().join("&")
}

/// A whole number that is not negative and not over the limit.
pub(crate) fn limited(name: &str, value: &str, limit: usize) -> Result<usize, QueryError> {
    let number: u64 = value.parse().map_err(|_| {
        QueryError(format!("Invalid value '{value}' for {name} query option found. The {name} query option requires a non-negative integer value."))
    })?;
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    if number > limit {
        return Err(QueryError(format!(
            "The limit of '{limit}' for {}{} query has been exceeded. The value from the incoming request is '{value}'.",
            name[1..2].to_ascii_uppercase(),
            &name[2..]
        )));
    }
    Ok(number)
}

/// One part of `$orderby`.
fn order(part: &str, schema: &'static Schema) -> Result<(&'static Field, bool), QueryError> {
    let mut words = part.split_whitespace();
    let field = words
        .next()
        .and_then(|name| schema.field(name))
        .ok_or_else(|| QueryError(format!("Could not find a property named '{part}'.")))?;
    match (words.next(), words.next()) {
        (None | Some("asc"), None) => Ok((field, false)),
        (Some("desc"), None) => Ok((field, true)),
        _ => Err(QueryError(format!("Syntax error in $orderby at '{part}'."))),
    }
}
