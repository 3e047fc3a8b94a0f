//! What loading promises, told by whole files.

mod buses;
mod convert;
mod docs;
mod drawn;
mod forms;
mod golden;
mod http;
mod properties;
mod schema;
mod services;

use super::*;
use std::path::Path;

/// The environment of the tests.
fn environment(name: &str) -> Option<String> {
    match name {
        "CLIENT_SECRET" | "ACME_CLIENT_SECRET" => Some("hunter2-from-env".to_owned()),
        "PORT" => Some("443".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// A folder with the files that configurations name: certificates in `certs/`, a secret beside.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("certs")).unwrap();
    for name in ["certs/chain.crt", "certs/demo_domain.crt", "certs/demo_domain.key"] {
        std::fs::write(folder.path().join(name), "stands for PEM\n").unwrap();
    }
    std::fs::write(folder.path().join("secret.txt"), "hunter2-from-file\n").unwrap();
    folder
}

/// Loads a text as a file of that name in a folder of its own.
fn load_as(name: &str, text: impl AsRef<[u8]>, options: Options) -> Result<Loaded, Problems> {
    let folder = folder();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    load(&path, &environment, options)
}

/// Loads a YAML text.
fn load_yaml(text: impl AsRef<[u8]>) -> Result<Loaded, Problems> {
    load_as("config.yaml", text, Options::default())
}

/// Loads a YAML text that is all right.
fn good(text: &str) -> Loaded {
    load_yaml(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A configuration with one input, whose further lines (indented by four) and services (by six) are given.
fn with_input(input: &str, services: &str) -> String {
    format!(
        "outputs:\n  console_1:\n    type: console\ninputs:\n  acme:\n    id: acme\n    credentials: {{tenant_id: t, client_id: c, client_secret: hunter2}}\n{input}    services:\n{services}"
    )
}

/// The first service of the first input.
fn service(loaded: &Loaded) -> &ServiceConfig {
    &loaded.config.inputs[0].services[0]
}

/// The messages, one a line.
fn messages(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}
