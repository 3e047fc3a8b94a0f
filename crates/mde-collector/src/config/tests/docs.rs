//! `docs/config.md`, `docs/services.md` and `docs/forms.md`, drawn from the declarations and from the table of services.
//!
//! The test fails when a file differs from what would be drawn; `UPDATE_GOLDEN=1` writes them anew.

use crate::config::key::{About, Absent, Declared, Form, Origin, Table};
use crate::config::{later, load, scope};
use crate::service::{Api, Bulk, Count, Elsewhere, Field, Flatten, Key, Pull, Read, SERVICES, ServiceDef, Take};
use mde_client::hunting::Endpoint as Hunting;
use mde_client::limits::{self, Family};
use mde_client::write_time;
use std::fmt::Write as _;
use std::path::Path;

/// What both files begin with.
const DRAWN: &str = "<!-- Drawn from the code by `cargo x docs`; not to be edited by hand. -->\n";

#[test]
fn docs_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (name, drawn) in [("config.md", configuration()), ("services.md", services()), ("forms.md", forms())] {
        let file = folder.join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &drawn).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        let line = drawn.lines().zip(written.lines()).position(|(drawn, written)| drawn != written);
        assert!(drawn == written, "docs/{name} is out of date from line {line:?} on: run `cargo x docs`");
    }
}

#[test]
fn what_is_not_done_yet_is_declared() {
    let mut all = Vec::new();
    for (_, table) in tables() {
        all.extend(table.keys().map(|key| (table.path, key.about().name)));
    }
    for (section, key) in later::named() {
        assert!(all.contains(&(section, key)), "`{key}` of `{section}` is put off and not declared");
    }
}

#[test]
fn no_section_has_two_keys_of_one_name() {
    for (heading, table) in tables() {
        let mut names: Vec<&str> = table.keys().flat_map(|key| key.names()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{heading}: {names:?}");
    }
}

/// The reference of the configuration.
fn configuration() -> String {
    let mut page = format!("# Configuration\n\n{DRAWN}\n{INTRODUCTION}");
    for (heading, table) in tables() {
        write!(page, "\n## {heading}\n\n{}\n\n", table.doc).unwrap();
        page += "| key | value | without it | what it does | whose |\n| --- | --- | --- | --- | --- |\n";
        for key in table.keys() {
            page += &row(table, key);
        }
        if matches!(table.path, "inputs.*.services.*") {
            page += &flags();
        }
    }
    page
}

/// What a reader should know first.
const INTRODUCTION: &str = "The layout is the official collector's: an existing file runs unchanged. YAML and JSON are read, and the two files of the
collector-server form (`job_config`, `collector_config`).

- Any text may hold `${env:NAME}` and `${file:PATH}`; `$${` is a literal `${`.
- Durations are written with their unit (`90s`, `10m`, `1h30m`, `7d`), sizes as well (`512KiB`, `4GiB`, `500MB`). Keys in seconds take a
  whole number.
- A relative file is looked up as given, then in the folder named below, then in both again beside the configuration.
- An unknown key is a warning, with `--strict` and in `check` an error; one that is nearly a known key is always an error.
- *official*: a key of the official collector. *ours*: one that this collector adds. *not needed*: an official key that is understood and
  changes nothing. **Not in this version**: declared, and not obeyed yet; using it is a warning, or an error where ignoring it would do
  another thing than was asked for.
- `*` in a heading stands for a name of your own, `[]` for an element of a list.
";

/// Every section with its heading, in the order of reading; a section that stands in several places comes once.
fn tables() -> Vec<(String, &'static Table)> {
    let mut found = Vec::new();
    for (heading, table) in [("The file", &load::ROOT), ("Job file", &load::JOB), ("Collector file", &load::COLLECTOR)]
    {
        walk(heading.to_owned(), table, &mut found);
    }
    found
}

/// Adds a section and those below it.
fn walk(heading: String, table: &'static Table, found: &mut Vec<(String, &'static Table)>) {
    if found.iter().any(|(_, other)| std::ptr::eq(*other, table)) {
        return;
    }
    found.push((heading, table));
    for about in table.keys().map(|key| key.about()) {
        if let Form::ByType(types) = about.form {
            let all = types();
            for (_, config) in &all {
                let words = all.iter().filter(|(_, other)| std::ptr::eq(*other, *config)).map(|(word, _)| code(word));
                walk(format!("{} for {}", code(config.path), words.collect::<Vec<_>>().join(", ")), config, found);
            }
        } else if let Some(inside) = about.form.table() {
            walk(code(inside.path), inside, found);
        }
    }
}

/// One line of a section's table.
fn row(table: &Table, key: &dyn Declared) -> String {
    let about = key.about();
    let mut names = code(about.name);
    for alias in about.aliases {
        names += &format!(", {}", code(alias));
    }
    let mut doc = about.doc.clone();
    if let Some(services) = scope::of(key).filter(|_| table.path == "inputs.*.services.*") {
        doc = format!("For {}. {doc}", services.join(", "));
    }
    if later::key(table.path, about.name).is_some() {
        doc = format!("**Not in this version.** {doc}");
    }
    format!("| {names} | {} | {} | {} | {} |\n", form(&about), absent(&about), cell(&doc), origin(about.origin))
}

/// A flag and what it adds, as the end of a table's line.
fn flag(count: &Count) -> String {
    let names: Vec<String> = count.names().iter().map(|name| code(name)).collect();
    format!("{} | {} |", names.join(", "), code(count.field))
}

/// The flags of all services.
fn flags() -> String {
    let mut text = String::from(
        "\nFlags, each for one service; all are official or in the official manner, `true` or `false`, and `false` without it:\n\n",
    );
    text += "| service | flag | adds |\n| --- | --- | --- |\n";
    for def in SERVICES {
        for count in def.counts {
            writeln!(text, "| {} | {}", def.name, flag(count)).unwrap();
        }
    }
    text
}

/// What a value may be, in words.
fn form(about: &About) -> String {
    let kind = match about.form {
        Form::Text => "text".to_owned(),
        Form::Secret => "text, never shown".to_owned(),
        Form::Url => "URL".to_owned(),
        Form::Boolean => "`true`, `false`".to_owned(),
        Form::Integer(..) => "whole number".to_owned(),
        Form::Number(..) => "number".to_owned(),
        Form::Duration(..) => "duration".to_owned(),
        Form::Seconds(..) => "seconds".to_owned(),
        Form::Size(_) => "size".to_owned(),
        Form::Period => "period".to_owned(),
        Form::Moment => "date, or date and time".to_owned(),
        Form::File(folder) => format!("file, also in `{folder}/`"),
        Form::Word => about.words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", "),
        Form::Texts => "list of texts".to_owned(),
        Form::Section(table) => format!("section {}", code(table.path)),
        Form::SwitchOr(table) => format!("`false`, or section {}", code(table.path)),
        Form::List(table) => format!("list of {}", code(table.path)),
        Form::Named(table) => format!("sections {}", code(table.path)),
        Form::NamedOrList(table) => format!("sections {}, or a list of them", code(table.path)),
        Form::Services(table) => format!("sections {}", code(table.path)),
        Form::ByType(_) => "section, as the type has it".to_owned(),
        Form::Any => "anything".to_owned(),
    };
    match about.form.bounds() {
        Some(bounds) => format!("{kind}, {bounds}"),
        None => kind,
    }
}

/// What holds without a key, in words.
fn absent(about: &About) -> String {
    match about.absent {
        Absent::Required => "an error".to_owned(),
        Absent::Default(text) => code(text),
        Absent::Told(words) => cell(words),
        Absent::Nothing => String::new(),
    }
}

/// Whose key it is, in words.
fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Official => "official",
        Origin::Obsolete => "official, not needed",
        Origin::Ours => "ours",
    }
}

/// The page of the services.
fn services() -> String {
    let mut page =
        format!("# Services\n\n{DRAWN}\n| service | how it is read | period | tag |\n| --- | --- | --- | --- |\n");
    for def in SERVICES {
        let ways: Vec<&str> = def.pull.iter().map(way).collect();
        writeln!(page, "| {} | {} | {} s | {} |", def.name, ways.join(", or "), def.period_s, tag(def)).unwrap();
    }
    SERVICES.iter().for_each(|def| page += &service(def));
    page
}

/// One service.
fn service(def: &ServiceDef) -> String {
    let list = |names: &[&str]| names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ");
    let mut text = format!("\n## {}\n\n", def.name);
    let mut line = |name: &str, value: String| writeln!(text, "- {name}: {value}").unwrap();
    if !def.aliases.is_empty() {
        line("also spelled", list(def.aliases));
    }
    let endpoint = &def.endpoint;
    if def.key == Key::RowHash {
        // With the roles of both, the first.
        line("endpoint", hunting(Hunting::Graph, ""));
        let end = write_time(limits::DEFENDER_HUNTING_END_MS).expect("a time of this century");
        line(
            "or",
            hunting(
                Hunting::Defender,
                &format!("; used where only this role is granted, and only until {}", &end[..10]),
            ),
        );
    } else {
        let expand = endpoint.expand.map(|part| format!(" with {}", code(&format!("$expand={part}"))));
        let (path, expand) = (code(endpoint.path), expand.unwrap_or_default());
        line("endpoint", format!("{path}{expand}; an answer holds at most {} rows", endpoint.page_cap));
        line("role (any of)", list(endpoint.roles));
        line("quota", quota(endpoint.family));
    }
    for other in def.elsewhere {
        line(&format!("else by {}", other.endpoint.api.name()), besides(other));
    }
    for (index, pull) in def.pull.iter().enumerate() {
        line(if index == 0 { "read by" } else { "or by" }, pulled(pull));
    }
    line("one version", version(def));
    let flattened: Vec<String> = def
        .flatten
        .iter()
        .map(|part| match part {
            Flatten::Object(name) => format!("object {}", code(name)),
            Flatten::Array(name) => format!("array {}", code(name)),
        })
        .collect();
    line(
        "flattened",
        if flattened.is_empty() { "nothing, unless `flatten` says so".to_owned() } else { flattened.join(", ") },
    );
    line("tag", tag(def));
    line("period", format!("{} s", def.period_s));
    if !def.counts.is_empty() {
        text += "\n| flag | adds | the call for one entity | for all at once, the first that may be used | where the two can differ |\n";
        text += "| --- | --- | --- | --- | --- |\n";
        for count in def.counts {
            let all: Vec<String> = count.bulk.iter().map(bulk).collect();
            let cells = [code(count.per_entity.path), all.join("; "), cell(count.differs)].join(" | ");
            writeln!(text, "| {} {cells} |", flag(count)).unwrap();
        }
    }
    text
}

/// Another API that has a service, in a sentence.
fn besides(other: &Elsewhere) -> String {
    let endpoint = &other.endpoint;
    let roles = endpoint.roles.iter().map(|role| code(role)).collect::<Vec<_>>().join(", ");
    let (path, cap, quota) = (code(endpoint.path), endpoint.page_cap, quota(endpoint.family));
    let native = other.native.as_ref().map(|native| format!("; with `shape: native` tag {}", code(native.tag)));
    let lacks = other.lacks;
    format!(
        "{path}, role (any of) {roles}, {quota}; an answer holds at most {cap} rows; it does not have {lacks}{}; see [forms](forms.md)",
        native.unwrap_or_default()
    )
}

/// The page of the forms that other APIs' rows take.
fn forms() -> String {
    let mut page = format!("# Forms\n\n{DRAWN}\n{FORMS}");
    for def in SERVICES {
        for other in def.elsewhere {
            let by = match other.endpoint.api {
                Api::Graph => "Microsoft Graph",
                Api::Hunting => "hunting tables",
                Api::Mde => "the classic API",
            };
            write!(page, "\n## {} by {by}\n\n", def.name).unwrap();
            if let Some(query) = other.query {
                write!(page, "```kusto\n{query}\n```\n\n").unwrap();
            }
            page += "| property | where it comes from |\n| --- | --- |\n";
            fields("", other.shape, &mut page);
        }
    }
    page
}

/// What a reader should know first.
const FORMS: &str = "Where a service is read from another API than its own, its events keep names and nesting. This is where each property comes from.
A property that the other API does not have is null. What only the other API has is left out; `shape: native` keeps all of it, under a tag
of its own.
";

/// The lines of properties; `within`: the array or object that they are in.
fn fields(within: &str, all: &[Field], page: &mut String) {
    for field in all {
        let name = format!("{within}{}", field.name);
        writeln!(page, "| {} | {} |", code(&name), cell(&source(&field.take))).unwrap();
        match &field.take {
            Take::Object(_, inner) => fields(&format!("{name}."), inner, page),
            Take::Each { fields: inner, .. } => fields(&format!("{name}[]."), inner, page),
            _ => {}
        }
    }
}

/// Where a property comes from, in words.
fn source(take: &Take) -> String {
    let list = |names: &[&str], joint: &str| names.iter().map(|name| code(name)).collect::<Vec<_>>().join(joint);
    match take {
        Take::Any(paths) => list(paths, ", else "),
        Take::Word(path, pairs) => {
            let pairs = pairs.iter().map(|(theirs, ours)| format!("; {} is {}", code(theirs), code(ours)));
            format!("{}, its first letter in upper case{}", code(path), pairs.collect::<String>())
        }
        Take::Number(path) => format!("{}, as a number", code(path)),
        Take::Total(path) => format!("{}, none is 0", code(path)),
        Take::Flag(path) => format!("{}, 1 is true and 0 is false", code(path)),
        Take::Lists(paths) => format!("the elements of {}", list(paths, ", ")),
        Take::Joined(paths) => list(paths, " + `-_-` + "),
        Take::Kind => format!("the kind in {}, its first letter in upper case", code("@odata.type")),
        Take::Of(pick, take) => format!("of the {} in {}: {}", pick.kind, code(pick.array), source(take)),
        Take::Object(pick, _) => format!("the first {} in {}", pick.kind, code(pick.array)),
        Take::Each { array, but: "", .. } => format!("the elements of {}", code(array)),
        Take::Each { array, but, .. } => format!("the elements of {}, but for the kind {but}", code(array)),
        Take::Nothing => "null: it is not to be had".to_owned(),
    }
}

/// An answer for all in words.
fn bulk(bulk: &Bulk) -> String {
    match bulk {
        Bulk::Row(property) => format!("{} of the row", code(property)),
        Bulk::Present(property) => format!("1 where {} is set", code(property)),
        Bulk::IdBegins(prefix) => format!("1 where the id begins with {}", code(prefix)),
        Bulk::Elements { array, property, .. } => format!("different {} in {}", code(property), code(array)),
        Bulk::Grouped(grouped) => match &grouped.pass.read {
            Read::Export { pages: path, .. } | Read::List { path, .. } => format!("all rows of {}", code(path)),
            Read::Each { path, each, .. } => format!("{} for each of {}", code(each), code(path)),
        },
    }
}

/// A way of reading in a word.
fn way(pull: &Pull) -> &'static str {
    match pull {
        Pull::Window { .. } => "windows over time",
        Pull::Snapshot { .. } => "snapshots",
        Pull::Open { .. } => "windows over time, the open ones again",
        Pull::Slices => "time slices of a query",
    }
}

/// A way of reading in a sentence.
fn pulled(pull: &Pull) -> String {
    match pull {
        Pull::Window { time, splits } => {
            let splits = splits.iter().map(|(field, _)| code(field)).collect::<Vec<_>>().join(", then ");
            format!("closed windows over {}; a full millisecond is split by {splits}", code(time))
        }
        Pull::Snapshot { min_period_s } => {
            format!("snapshots: the whole list, each entity once, at most every {min_period_s} s")
        }
        Pull::Open { start, end } => {
            format!("windows over {}, again from the oldest entity without {}", code(start), code(end))
        }
        Pull::Slices => "closed time slices of each query".to_owned(),
    }
}

/// One of the endpoints that run queries, and what it takes to use it.
fn hunting(endpoint: Hunting, when: &str) -> String {
    let (path, role, rows) = (code(endpoint.path()), code(endpoint.role()), limits::HUNTING_ROW_CAP);
    format!("{path}, role {role}, {}; an answer holds at most {rows} rows{when}", quota(endpoint.family()))
}

/// What a family's calls may be.
fn quota(family: Family) -> String {
    let limits = family.limits();
    let stated = if limits.stated { "stated by" } else { "assumed:" };
    let (name, minute, hour) = (code(limits.name), limits.per_minute, limits.per_hour);
    format!("family {name}, {minute} calls a minute, {hour} an hour ({stated} {})", limits.source)
}

/// What names one version of a record.
fn version(def: &ServiceDef) -> String {
    let fields = |fields: &[&str]| fields.iter().map(|name| code(name)).collect::<Vec<_>>().join(" + ");
    match &def.key {
        Key::Fields(names) if matches!(def.pull[0], Pull::Snapshot { .. }) => {
            let other = (names.len() > 1).then(|| format!("; read by windows: {}", fields(names)));
            format!("the snapshot + {}{}", fields(&names[..1]), other.unwrap_or_default())
        }
        Key::Fields(names) => fields(names),
        Key::FieldsAndContent(names) => format!("{} + a hash of the content", fields(names)),
        Key::RowHash => "the query (or its snapshot) + a hash of the row + its number among equal rows".to_owned(),
    }
}

/// The tag of a service.
fn tag(def: &ServiceDef) -> String {
    if def.tag.is_empty() { "each query's own".to_owned() } else { code(def.tag) }
}

/// A text as code in a cell.
fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

/// A text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
