//! The contract as slow, obvious code over a tree: lists of lists, everything copied, nothing shared with the real one.

use super::{FlattenConfig, Selection};
use crate::record::documents::{Node, Tree};
use std::collections::BTreeSet;

/// One member of an event before names are settled.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) meant: String,
    pub(super) written: String,
    pub(super) value: String,
}

/// The events of a document, each as its members with settled names, and whether it was skipped.
pub(super) fn events(
    document: &Node,
    config: &FlattenConfig,
    tail: &dyn Fn(usize, bool) -> Vec<Field>,
) -> (Vec<Vec<Field>>, bool) {
    let none = Selection::Named(Vec::new());
    let skipped =
        config.enabled && count_object(members(document), "", config) > u128::from(config.max_events_per_record);
    let arrays = if skipped { &none } else { &config.arrays };
    let bodies = if config.enabled {
        let rules = Rules { objects: &config.objects, arrays };
        rules.product(members(document).iter().map(|(meant, written, node)| rules.member(meant, written, node, false)))
    } else {
        let plain = |(meant, written, node): &(String, String, &Node)| field(meant, written, &node.tree.compact());
        vec![members(document).iter().map(plain).collect()]
    };
    let number_of = |(index, mut body): (usize, Vec<Field>)| {
        let own = body.len();
        body.extend(tail(index, skipped));
        settle(body, if config.enabled { 0 } else { own })
    };
    (bodies.into_iter().enumerate().map(number_of).collect(), skipped)
}

/// The event as a line.
pub(super) fn line(event: &[Field]) -> String {
    let members: Vec<_> = event.iter().map(|field| format!("\"{}\":{}", field.written, field.value)).collect();
    format!("{{{}}}\n", members.join(","))
}

/// A field.
pub(super) fn field(meant: &str, written: &str, value: &str) -> Field {
    Field { meant: meant.to_owned(), written: written.to_owned(), value: value.to_owned() }
}

/// Members of an object: name meant, name written, value. An empty list for anything else.
fn members(node: &Node) -> Vec<(String, String, &Node)> {
    match &node.tree {
        Tree::Object(members) => {
            members.iter().map(|(key, value)| (key.meant.to_owned(), key.written.to_owned(), value)).collect()
        }
        _ => Vec::new(),
    }
}

/// Gives suffixes to the names from `first` on that an earlier member has.
fn settle(event: Vec<Field>, first: usize) -> Vec<Field> {
    let mut used = BTreeSet::new();
    let mut settled = Vec::new();
    for (index, mut field) in event.into_iter().enumerate() {
        if index >= first && used.contains(&field.meant) {
            let mut number = 2;
            while used.contains(&format!("{}_{number}", field.meant)) {
                number += 1;
            }
            field.meant = format!("{}_{number}", field.meant);
            field.written = format!("{}_{number}", field.written);
        }
        used.insert(field.meant.clone());
        settled.push(field);
    }
    settled
}

/// Whether the name stands in a list.
fn listed(selection: &Selection, name: &str) -> bool {
    matches!(selection, Selection::Named(names) if names.contains(&name.to_owned()))
}

/// Whether the name is selected.
fn meant_by(selection: &Selection, name: &str) -> bool {
    *selection == Selection::All || listed(selection, name)
}

/// Ways to flatten a value: one list of fields for each.
type Ways = Vec<Vec<Field>>;

/// What is flattened.
struct Rules<'a> {
    objects: &'a Selection,
    arrays: &'a Selection,
}

impl Rules<'_> {
    /// Every way of the first with every way of the second, and so on; the last varies fastest.
    fn product(&self, parts: impl Iterator<Item = Ways>) -> Ways {
        let mut all: Ways = vec![Vec::new()];
        for part in parts {
            let mut longer = Vec::new();
            for begun in &all {
                for way in &part {
                    longer.push([begun.clone(), way.clone()].concat());
                }
            }
            all = longer;
        }
        all
    }

    /// Every way to flatten one member. `inside`: it belongs to something flattened.
    fn member(&self, meant: &str, written: &str, node: &Node, inside: bool) -> Ways {
        let counted = |mut way: Vec<Field>, found: usize, id: usize| {
            way.push(field(&format!("{meant}_found"), &format!("{written}_found"), &found.to_string()));
            way.push(field(&format!("{meant}_id"), &format!("{written}_id"), &id.to_string()));
            way
        };
        let is_null = node.tree == Tree::Scalar("null".to_owned());
        match &node.tree {
            Tree::Array(elements) if meant_by(self.arrays, meant) => {
                if elements.is_empty() {
                    return vec![counted(vec![field(meant, written, "null")], 0, 0)];
                }
                let mut all = Vec::new();
                for (index, element) in elements.iter().enumerate() {
                    for way in self.element(meant, written, element) {
                        all.push(counted(way, elements.len(), index + 1));
                    }
                }
                all
            }
            Tree::Object(_) if listed(self.arrays, meant) => {
                self.element(meant, written, node).into_iter().map(|way| counted(way, 1, 1)).collect()
            }
            Tree::Object(_) if inside || meant_by(self.objects, meant) => self.element(meant, written, node),
            _ if is_null && listed(self.arrays, meant) => vec![counted(vec![field(meant, written, "null")], 0, 0)],
            tree => vec![vec![field(meant, written, &tree.compact())]],
        }
    }

    /// An object loses its brackets, anything else stays.
    fn element(&self, meant: &str, written: &str, node: &Node) -> Ways {
        let inner = members(node);
        match &node.tree {
            Tree::Object(_) if inner.is_empty() => vec![vec![field(meant, written, "null")]],
            Tree::Object(_) => self.product(inner.iter().map(|(key_meant, key_written, value)| {
                self.member(&format!("{meant}_{key_meant}"), &format!("{written}_{key_written}"), value, true)
            })),
            tree => vec![vec![field(meant, written, &tree.compact())]],
        }
    }
}

/// Number of events, counted without making them.
fn count_object(members: Vec<(String, String, &Node)>, prefix: &str, config: &FlattenConfig) -> u128 {
    members
        .into_iter()
        .map(|(meant, _, node)| count(&format!("{prefix}{meant}"), node, config, !prefix.is_empty()))
        .product()
}

/// Number of events that one member gives.
fn count(name: &str, node: &Node, config: &FlattenConfig, inside: bool) -> u128 {
    let below = |node: &Node| count_object(members(node), &format!("{name}_"), config);
    match &node.tree {
        Tree::Array(elements) if meant_by(&config.arrays, name) => elements.iter().map(below).sum::<u128>().max(1),
        Tree::Object(_) if inside || meant_by(&config.objects, name) || listed(&config.arrays, name) => below(node),
        _ => 1,
    }
}
