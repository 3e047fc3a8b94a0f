//! Loading: from files to a [`Config`], or to everything that is wrong with them.

use super::key::{Branch, Form, Key, Table, keys};
use super::problem::{Fault, Problems};
use super::report::{self, At, Report};
use super::section::Section;
use super::tree::{Entry, Node, Value};
use super::{Config, globals, inputs, outputs};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

keys! {
    /// The sections of a configuration.
    static KEYS;
    /// Settings of the whole process.
    GLOBALS: Key<Branch> = Key::tree("globals", Form::Section(&globals::TABLE)).official();
    /// Where events go.
    OUTPUTS: Key<Branch> = Key::tree("outputs", Form::NamedOrList(&outputs::TABLE)).official().required();
    /// Tenants.
    INPUTS: Key<Branch> = Key::tree("inputs", Form::Named(&inputs::TABLE)).official().required().example("acme");
}

/// A configuration.
pub(super) static ROOT: Table = Table { path: "", doc: "The file, YAML or JSON, has three sections.", groups: &[KEYS] };

keys! {
    /// Sections of the collector server's job file.
    static JOB_KEYS;
    /// Settings that win over those of the collector file.
    OVERRIDES: Key<Branch> = Key::tree("global_overrides", Form::Section(&globals::TABLE)).official();
    /// Tenants.
    JOB_INPUTS: Key<Branch> = Key::tree("inputs", Form::Named(&inputs::TABLE)).official().required();
}

/// The collector server's job file.
pub(super) static JOB: Table =
    Table { path: "job_config", doc: "The job file of the collector-server form.", groups: &[JOB_KEYS] };

keys! {
    /// Sections of the collector server's collector file.
    static COLLECTOR_KEYS;
    /// As `globals.id`.
    JOB_ID: Key<Branch> = Key::tree("job_id", Form::Any).official();
    /// As `globals.name`.
    JOB_NAME: Key<Branch> = Key::tree("job_name", Form::Text).official();
    /// As `globals.debug`.
    DEBUG: Key<Branch> = Key::tree("debug", Form::Boolean).official();
    /// As `globals.persistence`.
    STATE_STORE: Key<Branch> = Key::tree("state_store", Form::Any).official();
    /// As `outputs`.
    LOGGERS: Key<Branch> = Key::tree("loggers", Form::NamedOrList(&outputs::TABLE)).official().required();
}

/// The collector server's collector file.
pub(super) static COLLECTOR: Table = Table {
    path: "collector_config",
    doc: "The collector file of the collector-server form.",
    groups: &[COLLECTOR_KEYS],
};

/// How strictly a configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Unknown keys are errors (`--strict`, and `check`).
    pub strict: bool,
    /// A `<…>` left as a value is a warning (`check --offline`) and stands for itself.
    pub offline: bool,
    /// A service that every input reads, whatever its file says of it: canonical name. For a command that names one.
    pub service: Option<&'static str>,
}

/// What was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What a person should know about it, in the order of the file.
    pub warnings: Vec<super::Problem>,
    /// Every file it was made of, certificates included.
    pub files: Vec<PathBuf>,
    /// The configuration files among them, with what they held.
    pub own: BTreeMap<PathBuf, TextDigest>,
    /// Those whose text stands in it by `${file:…}`: another text is a reason to load again. Whoever uses one of the
    /// remaining files looks at it anew by itself.
    pub references: BTreeMap<PathBuf, TextDigest>,
}

/// What stands for a file's text, so that another one is noticed and none is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextDigest(u64);

impl TextDigest {
    /// Of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Of what the file holds now; `None` where it cannot be read as text.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        report::read_text(path, report::MAX_CONFIG).ok().as_deref().map(Self::of)
    }
}

/// Loads a configuration file, YAML or JSON. `environment` gives the variable of a name.
///
/// A relative `path` is looked up as given, then in `config/`.
///
/// Names of files inside it are looked up as given, seen from the working directory; then in `certs/` (certificates) or `credentials/`
/// (secrets); then both again seen from the folder of the configuration file.
///
/// # Errors
/// Everything that is wrong, when any of it stops us.
pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>, options: Options) -> Result<Loaded, Problems> {
    let report = Report::new(environment, options);
    let root = report.open(path);
    let config = root.and_then(|root| assemble(&report, path, &root));
    report.conclude(config)
}

/// Loads the collector-server form: the inputs from `job_config`, outputs (`loggers`), persistence (`state_store`) and name from
/// `collector_config`; what `global_overrides` of the first says wins.
///
/// # Errors
/// As [`load`], over both files.
pub fn load_job(
    job_config: &Path,
    collector_config: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    options: Options,
) -> Result<Loaded, Problems> {
    let report = Report::new(environment, options);
    let root = open_job(&report, job_config, collector_config);
    let config = root.and_then(|root| assemble(&report, job_config, &root));
    report.conclude(config)
}

/// The two files of the collector-server form as one tree; none when an error has been reported.
pub(super) fn open_job(report: &Report<'_>, job_config: &Path, collector_config: &Path) -> Option<Node> {
    // Both are opened before either is needed, so that two missing files are told at once.
    let (job, collector) = (report.open(job_config), report.open(collector_config));
    job.zip(collector).and_then(|(job, collector)| joined(report, &job, &collector))
}

/// Reads a whole tree; none when an error has been reported.
pub(super) fn assemble(report: &Report<'_>, file: &Path, root: &Node) -> Option<Config> {
    let at = At { span: None, text: None, ..root.at() };
    if matches!(root.value, Value::Null) {
        report.error(at, Fault::new("the file is empty").help("it needs the sections globals, outputs and inputs"));
        return None;
    }
    let top = Section::new(report, at, Some(root), &ROOT);
    if top.is_broken() {
        return None;
    }
    let globals = globals::load(top.section(&GLOBALS));
    let declared = outputs::declared(&top, &OUTPUTS);
    let names: Vec<String> = declared.iter().map(|(name, _)| name.clone()).collect();
    let mut outputs = outputs::load(declared);
    let inputs = inputs::load(&top.section(&INPUTS), &names);
    top.finish();
    let globals = globals?;
    outputs.iter_mut().for_each(|entry| entry.output.under(&globals));
    Some(Config { file: file.to_owned(), globals, outputs, inputs }).filter(|_| !report.has_error())
}

/// Keys of the second file of the collector-server form, and their names in the common one.
static RENAMED: &[(&Key<Branch>, &str)] =
    &[(&JOB_ID, "id"), (&JOB_NAME, "name"), (&STATE_STORE, "persistence"), (&DEBUG, "debug")];

/// The two files as one tree in the common form. Every value keeps its place and path in its own file.
fn joined(report: &Report<'_>, job: &Node, collector: &Node) -> Option<Node> {
    let file = |root, table| Section::new(report, At { span: None, text: None, ..Node::at(root) }, Some(root), table);
    let (job_file, collector_file) = (file(job, &JOB), file(collector, &COLLECTOR));
    let renamed = |entry: &Entry, key: &str| Entry { key: key.to_owned(), ..entry.clone() };
    let mut globals = job_file.section(&OVERRIDES).entries().to_vec();
    for (official, common) in RENAMED {
        if let Some(entry) = collector_file.entry(*official)
            && !globals.iter().any(|own| own.key == *common)
        {
            globals.push(renamed(entry, common));
        }
    }
    let mut top: Vec<Entry> = job_file.entry(&JOB_INPUTS).into_iter().cloned().collect();
    top.extend(collector_file.entry(&LOGGERS).map(|entry| renamed(entry, OUTPUTS.name())));
    let globals = Node { span: collector.span, path: GLOBALS.name().to_owned(), value: Value::Map(globals) };
    top.push(Entry { key: GLOBALS.name().to_owned(), span: collector.span, value: globals });
    let broken = job_file.is_broken() || collector_file.is_broken();
    job_file.finish();
    collector_file.finish();
    (!broken).then(|| Node { span: job.span, path: String::new(), value: Value::Map(top) })
}
