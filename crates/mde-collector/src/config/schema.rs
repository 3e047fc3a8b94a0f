//! A JSON Schema for editors, drawn from the declarations. It accepts whatever loads but other spellings of words, and completes and explains.

use super::key::{About, Absent, Declared, Form, Origin, TYPE, Table};
use super::{later, load, scope};
use crate::service::SERVICES;
use serde_json::{Map, Value, json};

/// A text with a reference or a placeholder, which may stand for anything.
const REFERENCE: &str = r"\$\{|^<";

/// The JSON Schema (draft 2020-12) of a configuration.
#[must_use]
pub fn schema() -> Value {
    let mut drawing = Drawing::default();
    let root = drawing.section(&load::ROOT);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of mde-collector",
        "$defs": drawing.definitions,
    });
    schema["$ref"] = root["$ref"].clone();
    schema
}

/// A schema under way.
#[derive(Default)]
struct Drawing {
    /// Sections that have been drawn, by name.
    definitions: Map<String, Value>,
    /// Their tables, with the same names.
    names: Vec<(*const Table, String)>,
}

impl Drawing {
    /// A section of one table, drawn once and referred to.
    fn section(&mut self, table: &'static Table) -> Value {
        if let Some((_, name)) = self.names.iter().find(|(known, _)| std::ptr::eq(*known, table)) {
            return reference(name);
        }
        // Sections of several types stand in one place.
        let place = if table.path.is_empty() { "file" } else { table.path };
        // Brackets may not stand in a reference, which is an address.
        let mut name = place.replace("[]", "");
        let same = self.names.iter().filter(|(_, known)| known.split(' ').next() == Some(&name)).count();
        if same > 0 {
            name += &format!(" {}", same + 1);
        }
        self.names.push((table, name.clone()));
        let keys: Vec<About> = table.keys().map(|key| key.about()).collect();
        let mut object = self.object(table, table.doc, &keys);
        for about in &keys {
            if let Form::ByType(types) = about.form {
                demand(&mut object, types().into_iter().map(|kind| self.by_type(about.name, kind)));
            }
        }
        self.definitions.insert(name.clone(), object);
        reference(&name)
    }

    /// What a type word demands of the section beside it.
    fn by_type(&mut self, name: &str, (word, table): (&str, &'static Table)) -> Value {
        let is_it = json!({"required": [TYPE], "properties": {TYPE: {"const": word}}});
        let mut demands = json!({"properties": {name: self.section(table)}});
        if table.keys().any(|key| key.about().absent == Absent::Required) {
            demands["required"] = json!([name]);
        }
        json!({"if": is_it, "then": demands})
    }

    /// A section of these keys; an empty one is null.
    fn object(&mut self, table: &Table, doc: &str, keys: &[About]) -> Value {
        let (mut properties, mut demands) = (Map::new(), Vec::new());
        for about in keys {
            let names = || std::iter::once(about.name).chain(about.aliases.iter().copied());
            for name in names() {
                properties.insert(name.to_owned(), self.described(table, about, name));
            }
            if about.absent == Absent::Required {
                let given: Vec<Value> = names().map(|name| json!({"required": [name]})).collect();
                demands.push(json!({"anyOf": given}));
            }
        }
        let mut object = json!({"type": ["object", "null"], "description": doc, "properties": properties});
        if !demands.is_empty() {
            object["type"] = json!("object");
            demand(&mut object, demands);
        }
        object
    }

    /// What one key may hold, with its documentation.
    fn described(&mut self, table: &Table, about: &About, name: &str) -> Value {
        let mut value = self.value(about);
        let mut doc = about.doc.clone();
        if name != about.name {
            doc = format!("Another spelling of `{}`. {doc}", about.name);
        }
        if let Form::File(folder) = about.form {
            doc += &format!(" It must be there; a relative name is also looked for in `{folder}/`.");
        }
        if later::key(table.path, about.name).is_some() {
            doc = format!("Not available in this version. {doc}");
        }
        match about.absent {
            Absent::Default(text) => value["default"] = typed(&about.form, text),
            Absent::Told(words) => doc += &format!(" Without it: {words}."),
            Absent::Required | Absent::Nothing => {}
        }
        if about.origin == Origin::Obsolete {
            value["deprecated"] = json!(true);
        }
        value["description"] = json!(doc);
        value
    }

    /// What a value of one form may be; null is the same as absent.
    fn value(&mut self, about: &About) -> Value {
        match about.form {
            Form::Section(table) => self.section(table),
            Form::SwitchOr(table) => json!({"anyOf": [{"type": "boolean"}, self.section(table)]}),
            Form::List(table) => json!({"type": ["array", "null"], "items": self.section(table)}),
            Form::Named(table) => self.named(about, table),
            Form::NamedOrList(table) => {
                json!({"anyOf": [{"type": "array", "items": self.section(table)}, self.named(about, table)]})
            }
            Form::Services(table) => self.services(table),
            // The type word beside it says what it may hold.
            Form::ByType(_) | Form::Any => json!({}),
            _ => scalar(about),
        }
    }

    /// Sections under names of one's own.
    fn named(&mut self, about: &About, table: &'static Table) -> Value {
        let mut inside = self.section(table);
        // The name that an element has in a list is the key here.
        if table.keys().any(|key| key.names()[0] == NAME) {
            let keys = table.keys().map(|key| key.about()).filter(|about| about.name != NAME);
            inside = self.object(table, table.doc, &keys.collect::<Vec<_>>());
        }
        let kind = if about.absent == Absent::Required { json!("object") } else { json!(["object", "null"]) };
        json!({"type": kind, "additionalProperties": inside})
    }

    /// Every service: the keys that mean something for it, and the flags of its counts.
    fn services(&mut self, table: &'static Table) -> Value {
        let mut all = Map::new();
        for def in SERVICES {
            let mut keys: Vec<About> =
                table.keys().filter(|key| scope::knows(def, *key)).map(|key| key.about()).collect();
            keys.extend(def.counts.iter().map(Declared::about));
            let object = self.object(table, &format!("The service {}.", def.name), &keys);
            self.definitions.insert(def.name.to_owned(), object);
            for name in std::iter::once(def.name).chain(def.aliases.iter().copied()) {
                all.insert(name.to_owned(), reference(def.name));
            }
        }
        json!({"type": "object", "properties": all})
    }
}

/// The key that names an element of a list.
const NAME: &str = "name";

/// A section that has been drawn, by its name.
fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{}", name.replace(' ', "%20"))})
}

/// Adds demands to those that a section already makes.
fn demand(object: &mut Value, demands: impl IntoIterator<Item = Value>) {
    let all = object["allOf"].take();
    let all: Vec<Value> = all.as_array().cloned().unwrap_or_default().into_iter().chain(demands).collect();
    object["allOf"] = json!(all);
}

/// A default in the type that it would be written in.
fn typed(form: &Form, text: &str) -> Value {
    match form {
        Form::Boolean | Form::Integer(..) | Form::Number(..) | Form::Seconds(..) => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        _ => json!(text),
    }
}

/// What a single value of one form may be; null is the same as absent.
fn scalar(about: &About) -> Value {
    let text = |pattern: &str| json!({"type": ["string", "null"], "pattern": format!("{pattern}|{REFERENCE}")});
    let number = |kind: &str, pattern: &str| json!({"type": [kind, "string", "null"], "pattern": format!("{pattern}|{REFERENCE}")});
    match about.form {
        Form::Text => json!({"type": ["string", "number", "boolean", "null"]}),
        Form::Secret => json!({"type": ["string", "number", "null"]}),
        Form::Url | Form::File(_) => json!({"type": ["string", "null"]}),
        Form::Boolean => {
            let mut value = text("^([Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF)$");
            value["type"] = json!(["boolean", "string", "null"]);
            value
        }
        Form::Integer(least, most) => {
            let mut value = number("integer", "^-?[0-9]+$");
            if least != i64::MIN {
                value["minimum"] = json!(least);
            }
            if most != i64::MAX {
                value["maximum"] = json!(most);
            }
            value
        }
        Form::Number(least, most) => {
            let mut value = number("number", r"^-?[0-9.]+$");
            value["minimum"] = json!(least);
            value["maximum"] = json!(most);
            value
        }
        Form::Duration(..) => text("^([0-9]+(ms|[wdhms]))+$"),
        Form::Seconds(least, most) => {
            let mut value = number("integer", "^([0-9]+|([0-9]+(ms|[wdhms]))+)$");
            value["minimum"] = json!(least.as_secs().max(1));
            value["maximum"] = json!(most.as_secs());
            value
        }
        Form::Size(least) => {
            let mut value = number("integer", "^[0-9]+([KMGT]i?B|B)?$");
            value["minimum"] = json!(least);
            value
        }
        Form::Period => text("^[0-9]+[smhdwMy]$"),
        Form::Moment => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}"),
        Form::Word => {
            json!({"anyOf": [{"enum": about.words}, {"type": "string", "pattern": REFERENCE}, {"type": "null"}]})
        }
        Form::Texts => {
            let one = json!({"type": ["string", "number", "boolean"]});
            json!({"anyOf": [one, {"type": "array", "items": one}, {"type": "null"}]})
        }
        _ => json!({}),
    }
}
