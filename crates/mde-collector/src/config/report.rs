//! One loading under way: the files read so far, what was found wrong, and how the world outside is asked.

use super::hidden;
use super::interpolate::{self, Reference};
use super::parse;
use super::problem::{Fault, Problem, Problems, Severity};
use super::source::{Source, Span};
use super::tree::{Node, Value, clipped, shown_key};
use super::{Loaded, Options, TextDigest};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Largest configuration that is read. Unit: octets.
pub(super) const MAX_CONFIG: u64 = 1 << 20;
/// Largest file that `${file:…}` takes in, or that a secret comes from. Unit: octets.
pub(super) const MAX_REFERENCE: u64 = 64 << 10;

/// How the world outside a configuration is asked.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Where a problem is.
#[derive(Debug, Clone)]
pub(super) struct At {
    /// The stretch of text; none for a file as a whole.
    pub span: Option<Span>,
    /// Number of the file.
    pub source: usize,
    /// The key's path.
    pub path: String,
    /// The offending text, unless it is missing or a credential.
    pub text: Option<String>,
}

/// What a value turned out to be.
pub(super) enum Outcome<T> {
    /// Nothing was written, or nothing behind the key.
    Absent,
    /// Something was written that is wrong, and that has been said.
    Faulty,
    /// A placeholder is left, and that has been said; its text.
    Placeholder(String),
    /// It can be used.
    Good(T),
}

/// A problem before its file's secrets are all known.
struct Finding {
    /// How bad.
    severity: Severity,
    /// Where.
    at: At,
    /// What, and the way out.
    fault: Fault,
}

/// One loading under way. It gathers problems instead of failing, so that all are told at once.
pub(super) struct Report<'e> {
    /// What the caller wants.
    pub options: Options,
    /// Variables.
    environment: Environment<'e>,
    /// Files in the order of reading.
    sources: RefCell<Vec<Source>>,
    /// What was found.
    findings: RefCell<Vec<Finding>>,
    /// Every file that the configuration is made of.
    files: RefCell<BTreeSet<PathBuf>>,
    /// Configuration files, with what they held.
    own: RefCell<BTreeMap<PathBuf, TextDigest>>,
    /// Files of references, with what they held.
    references: RefCell<BTreeMap<PathBuf, TextDigest>>,
}

impl<'e> Report<'e> {
    /// Nothing is read yet.
    pub fn new(environment: Environment<'e>, options: Options) -> Self {
        let (sources, findings, files, own, references) = Default::default();
        Self { options, environment, sources, findings, files, own, references }
    }

    /// Reads a configuration file to a tree; when it cannot, that has been said.
    pub fn open(&self, path: &Path) -> Option<Node> {
        let candidates = if path.is_absolute() {
            vec![path.to_owned()]
        } else {
            vec![path.to_owned(), Path::new("config").join(path)]
        };
        let found = candidates.iter().find(|candidate| candidate.is_file());
        let name = found.unwrap_or(&candidates[0]);
        let source = self.sources.borrow().len();
        let text = match read_text(name, MAX_CONFIG) {
            Ok(text) => text,
            Err(fault) => {
                self.sources.borrow_mut().push(Source::new(name, ""));
                let fault = if found.is_none() && !name.exists() {
                    let looked = names(&candidates);
                    Fault::new("the file does not exist").help(format!(
                        "looked for {looked}, seen from the working directory; name it with `--config FILE` or in CONFIG_FILE"
                    ))
                } else {
                    Fault { message: format!("the file {}", fault.message), ..fault }
                };
                self.error(At { span: None, source, path: String::new(), text: None }, fault);
                return None;
            }
        };
        self.files.borrow_mut().insert(name.clone());
        self.own.borrow_mut().insert(name.clone(), TextDigest::of(&text));
        let mut file = Source::new(name, &text);
        let mut parsed = parse::parse(&text, source);
        parsed.keys.into_iter().for_each(|key| file.show(key));
        if let Some(root) = &mut parsed.root {
            for (value, open) in hidden::mark_secrets(root) {
                if open { file.show(value) } else { file.hide(value) }
            }
        }
        self.sources.borrow_mut().push(file);
        for found in parsed.faults {
            self.error(At { span: Some(found.span), source, path: found.path, text: None }, found.fault);
        }
        parsed.root
    }

    /// Something that stops us.
    pub fn error(&self, at: At, fault: Fault) {
        self.findings.borrow_mut().push(Finding { severity: Severity::Error, at, fault });
    }

    /// Something that a person should know.
    pub fn warning(&self, at: At, fault: Fault) {
        self.findings.borrow_mut().push(Finding { severity: Severity::Warning, at, fault });
    }

    /// How much has been found that stops us.
    pub fn error_count(&self) -> usize {
        self.findings.borrow().iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// Whether something that stops us has been found.
    pub fn has_error(&self) -> bool {
        self.error_count() > 0
    }

    /// From now on no message shows this value.
    pub fn hide(&self, node: &Node) {
        match &node.value {
            Value::Null => {}
            Value::Scalar(_) => self.sources.borrow_mut()[node.span.source].hide(node.span),
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.hide(&entry.value)),
        }
    }

    /// The text of a single value, its references resolved; an empty text is none.
    pub fn text(&self, node: &Node) -> Outcome<String> {
        let scalar = match &node.value {
            Value::Null => return Outcome::Absent,
            Value::Scalar(scalar) => scalar,
            Value::List(_) | Value::Map(_) => {
                self.error(node.at(), Fault::new(format!("must be one value, not {}", node.kind())));
                return Outcome::Faulty;
            }
        };
        if is_placeholder(&scalar.text) {
            let fault =
                Fault::new(format!("{} is a placeholder", scalar.shown())).help("put your own value in its place");
            if self.options.offline {
                self.warning(node.at(), fault);
                return Outcome::Placeholder(scalar.text.clone());
            }
            self.error(node.at(), fault);
            return Outcome::Faulty;
        }
        match interpolate::expand(&scalar.text, &|reference| self.resolve(reference, node.span.source)) {
            Ok(text) if text.is_empty() => Outcome::Absent,
            Ok(text) => Outcome::Good(text),
            Err(fault) => {
                self.error(node.at(), fault);
                Outcome::Faulty
            }
        }
    }

    /// What a reference stands for.
    fn resolve(&self, reference: Reference<'_>, source: usize) -> Result<String, Fault> {
        match reference {
            Reference::Env(name) => (self.environment)(name).ok_or_else(|| {
                Fault::new(format!("the environment has no variable `{}`", clipped(name)))
                    .help("set it where the collector is started")
            }),
            Reference::File(path) => {
                let text = self.find(path, "credentials", source).and_then(|found| {
                    let text = read_text(&found, MAX_REFERENCE)?;
                    self.references.borrow_mut().insert(found, TextDigest::of(&text));
                    Ok(text)
                });
                let text =
                    text.map_err(|fault| Fault { message: format!("`{}` {}", clipped(path), fault.message), ..fault })?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        }
    }

    /// The file that a name means: as given (seen from the working directory), in `folder` there, and both again beside the configuration.
    pub fn find(&self, name: &str, folder: &str, source: usize) -> Result<PathBuf, Fault> {
        let beside = self.sources.borrow()[source].folder.clone();
        let mut candidates: Vec<PathBuf> = Vec::new();
        for candidate in
            [PathBuf::from(name), Path::new(folder).join(name), beside.join(name), beside.join(folder).join(name)]
        {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        let found = candidates.iter().find(|candidate| candidate.is_file());
        let Some(found) = found else {
            return Err(Fault::new("does not exist").help(format!("looked for {}", names(&candidates))));
        };
        File::open(found).map_err(|error| unreadable(&error))?;
        self.files.borrow_mut().insert(found.clone());
        Ok(found.clone())
    }

    /// Ends the loading: what was built, or all that is wrong.
    pub fn conclude(self, config: Option<super::Config>) -> Result<Loaded, Problems> {
        let failed = self.has_error();
        let sources = self.sources.into_inner();
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|finding| (finding.at.source, finding.at.span.map(|span| span.start)));
        // A value behind an alias or read for two purposes is wrong once.
        let mut told_already = HashSet::new();
        findings.retain(|Finding { at, fault, .. }| told_already.insert((at.source, at.span, fault.message.clone())));
        let problems: Vec<Problem> = findings.into_iter().map(|finding| told(finding, &sources)).collect();
        if failed {
            return Err(Problems(problems));
        }
        let config = config.expect("a configuration that could not be built has an error");
        let files = self.files.into_inner().into_iter().collect();
        let (own, references) = (self.own.into_inner(), self.references.into_inner());
        Ok(Loaded { config, warnings: problems, files, own, references })
    }
}

impl Node {
    /// Where this value is.
    pub fn at(&self) -> At {
        let text = match &self.value {
            Value::Scalar(scalar) if !scalar.hidden => Some(clipped(&scalar.text)),
            _ => None,
        };
        At { span: Some(self.span), source: self.span.source, path: self.path.clone(), text }
    }
}

impl super::tree::Entry {
    /// Where this key is.
    pub fn at(&self) -> At {
        At {
            span: Some(self.span),
            source: self.span.source,
            path: self.value.path.clone(),
            text: Some(shown_key(&self.key)),
        }
    }
}

/// A finding as the world gets it.
fn told(finding: Finding, sources: &[Source]) -> Problem {
    let Finding { severity, at, fault } = finding;
    let source = &sources[at.source];
    Problem {
        severity,
        file: source.name.clone(),
        line: at.span.map(|span| span.start.line),
        column: at.span.map(|span| span.start.column),
        path: at.path,
        text: at.text,
        message: fault.message,
        help: fault.help,
        snippet: at.span.and_then(|span| source.snippet(span)),
    }
}

/// Whether a value was left as the example had it: `<client_id_value>`, `<devo_domain>.crt`.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.strip_prefix('<').and_then(|rest| rest.split_once('>')).is_some_and(|(name, _)| {
        name.starts_with(char::is_alphabetic)
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '|'))
    })
}

/// A file's text, at most so many octets of it; faults go on after the file's name.
pub(super) fn read_text(path: &Path, most: u64) -> Result<String, Fault> {
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut octets))
        .map_err(|error| unreadable(&error))?;
    if octets.len() as u64 > most {
        let most = super::units::size_text(most);
        return Err(Fault::new(format!("is larger than {most}")));
    }
    if octets.starts_with(&[0xff, 0xfe]) || octets.starts_with(&[0xfe, 0xff]) {
        return Err(Fault::new("is UTF-16").help("save it as UTF-8"));
    }
    let text = String::from_utf8(octets).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|octet| **octet == b'\n').count();
        Fault::new(format!("is not UTF-8: line {line}")).help("save it as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// A file that the system does not give us.
fn unreadable(error: &io::Error) -> Fault {
    Fault::new(format!("cannot be read: {}", error.kind()))
}

/// File names for a message.
fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
