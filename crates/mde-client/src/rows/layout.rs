//! Which members of a body mean something, and what is kept of those beside the rows.

use serde::Deserialize;
use serde_json::Value;

/// What kind of answer a body is. All are one object that holds one array of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An OData list, also the JSON exports.
    Collection,
    /// The answer of a hunting query. Defender writes its names with capitals, Graph without.
    Hunting,
    /// The list of a file export.
    ExportFiles,
}

/// The members that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// The array of rows.
    Rows,
    /// `@odata.nextLink`.
    NextLink,
    /// `@odata.count`.
    Count,
    /// `@odata.context`.
    Context,
    /// The columns of a hunting answer.
    Schema,
    /// When the files of an export were made.
    Generated,
    /// Everything else is passed over.
    Other,
}

/// The members of each layout, by their names without case.
const COLLECTION: &[(&str, Member)] = &[
    ("value", Member::Rows),
    ("@odata.nextLink", Member::NextLink),
    ("@odata.count", Member::Count),
    ("@odata.context", Member::Context),
];
/// See [`COLLECTION`].
const HUNTING: &[(&str, Member)] = &[("results", Member::Rows), ("schema", Member::Schema)];
/// See [`COLLECTION`].
const EXPORT_FILES: &[(&str, Member)] = &[("exportFiles", Member::Rows), ("generatedTime", Member::Generated)];

impl Layout {
    /// The member that a key, with its quotes, names; `None` where the key is no JSON string.
    pub fn member(self, key: &[u8]) -> Option<Member> {
        let unescaped: String;
        let inside = key.get(1..key.len() - 1)?;
        let name = if inside.contains(&b'\\') {
            unescaped = serde_json::from_slice(key).ok()?;
            unescaped.as_bytes()
        } else {
            inside
        };
        let members = match self {
            Self::Collection => COLLECTION,
            Self::Hunting => HUNTING,
            Self::ExportFiles => EXPORT_FILES,
        };
        let known = members.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        Some(known.map_or(Member::Other, |(_, member)| *member))
    }
}

/// A column of a hunting answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name. Two columns can differ by case only.
    pub name: String,
    /// The vendor's word for the type (`DateTime`, `SByte`); an open set.
    pub kind: String,
}

/// What was read beside the rows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Annotations {
    /// `@odata.nextLink`.
    pub next_link: Option<String>,
    /// `@odata.count`.
    pub count: Option<u64>,
    /// `@odata.context`.
    pub context: Option<String>,
    /// The columns of a hunting answer.
    pub columns: Option<Vec<Column>>,
    /// When the files of an export were made.
    pub generated: Option<String>,
}

impl Annotations {
    /// Keeps a member's value. `None` for a next link that cannot be read: to pass it over would lose rows. Whatever
    /// else cannot be read is as good as not there.
    pub fn take(&mut self, member: Member, text: &[u8]) -> Option<()> {
        match member {
            Member::NextLink => {
                let link: Option<String> = serde_json::from_slice(text).ok()?;
                self.next_link = link.filter(|link| !link.is_empty());
            }
            Member::Count => self.count = serde_json::from_slice(text).ok(),
            Member::Context => self.context = serde_json::from_slice(text).ok(),
            Member::Schema => self.columns = columns(text),
            Member::Generated => self.generated = serde_json::from_slice(text).ok(),
            Member::Rows | Member::Other => {}
        }
        Some(())
    }
}

/// The columns of a schema, their keys in any case; `None` where it has another form.
fn columns(text: &[u8]) -> Option<Vec<Column>> {
    /// One column, before its keys are looked at.
    type Members = serde_json::Map<String, Value>;
    let columns = Vec::<Members>::deserialize(&mut serde_json::Deserializer::from_slice(text)).ok()?;
    let text = |column: &Members, wanted: &str| {
        let (_, value) = column.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
        value.as_str().map(str::to_owned)
    };
    let column = |column: Members| Some(Column { name: text(&column, "name")?, kind: text(&column, "type")? });
    columns.into_iter().map(column).collect()
}
