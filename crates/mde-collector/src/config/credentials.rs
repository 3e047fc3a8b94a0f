//! `credentials`: who we are, and how that is proved.

use super::key::{Declared, Form, Key, Table, keys};
use super::problem::Fault;
use super::section::Section;
use super::{Credentials, Proof, Secret, report};
use std::path::PathBuf;

keys! {
    /// Keys of `credentials`.
    static KEYS;
    /// Entra tenant: its GUID or its domain.
    TENANT: Key<String> = Key::parsed("tenant_id", Form::Text, id).official().required()
        .example("00000000-0000-0000-0000-000000000002");
    /// Application (client) id of the app registration.
    CLIENT: Key<String> = Key::parsed("client_id", Form::Text, id).official().required()
        .example("00000000-0000-0000-0000-000000000001");
    /// Client secret of the app registration. `"${env:NAME}"` takes it from the environment, `"${file:PATH}"` from a file at start.
    SECRET: Key<Secret> = Key::secret("client_secret").official().otherwise("this or client_secret_file").example("change-me");
    /// A file with the secret, read at each token request, so that a rotated secret is used.
    SECRET_FILE: Key<PathBuf> = Key::file_that("client_secret_file", "credentials", holds_something);
    /// Certificate of the application, PEM, instead of a secret.
    CERTIFICATE: Key<PathBuf> = Key::file("certificate_file", "certs");
    /// Private key of that certificate, PEM, not encrypted; absent: it stands in `certificate_file` as well. Both are read at each token request.
    KEY: Key<PathBuf> = Key::file("key_file", "certs").otherwise("certificate_file");
    /// `true`: the identity of the machine that we run on; `client_id` picks one where it has several, and may be left out.
    MANAGED: Key<bool> = Key::boolean("managed_identity").default("false");
    /// A file with a token of another issuer that Entra trusts for this application, read at each token request.
    FEDERATED: Key<PathBuf> = Key::file("federated_token_file", "credentials");
}

/// `inputs.*.credentials`.
pub(super) static TABLE: Table =
    Table { path: "inputs.*.credentials", doc: "Who we are, and how that is proved.", groups: &[KEYS] };

/// Whether the value of this key of `credentials` may be shown; a misspelled key gives nothing away.
pub(super) fn may_be_shown(key: &str) -> bool {
    TABLE.keys().map(|key| key.about()).any(|about| about.name == key && !matches!(about.form, Form::Secret))
}

/// What proves an application's identity: one of these keys stands there, and no other.
static PROOFS: &[&dyn Declared] = &[&SECRET, &SECRET_FILE, &CERTIFICATE, &MANAGED, &FEDERATED];

/// Reads the section; none when an error has been reported.
pub(super) fn load(section: Section<'_>) -> Option<Credentials> {
    if section.is_absent() {
        section.report.error(
            section.at(),
            Fault::new("`credentials` is missing").help("it needs tenant_id, client_id and client_secret"),
        );
        return None;
    }
    let managed = section.value(&MANAGED);
    let tenant_id = section.required(&TENANT);
    // The identity that the system has given a machine needs no name.
    let client_id =
        if managed { Some(section.optional(&CLIENT).unwrap_or_default()) } else { section.required(&CLIENT) };
    let proof = proof(&section, managed);
    section.finish();
    Some(Credentials { tenant_id: tenant_id?, client_id: client_id?, proof: proof? })
}

/// The one proof that is given; none when an error has been reported.
fn proof(section: &Section<'_>, managed: bool) -> Option<Proof> {
    let key = section.given(&KEY);
    let given = PROOFS.iter().map(|key| Some((key.about().name, section.given(*key)?))).collect::<Vec<_>>();
    // `managed_identity: false` says nothing.
    let mut given = given.into_iter().flatten().filter(|(name, _)| managed || *name != MANAGED.name());
    let (first, second) = (given.next(), given.next());
    if let (Some((first, _)), Some((name, entry))) = (first, second) {
        let fault = Fault::new(format!("`{first}` and `{name}` are two ways to say one thing"));
        section.report.error(entry.at(), fault.help("keep one of the two"));
        return None;
    }
    let name = first.map(|(name, _)| name);
    if let (false, Some(entry)) = (name == Some(CERTIFICATE.name()), key) {
        let fault = Fault::new("`key_file` is the key of no certificate");
        section.report.error(entry.at(), fault.help("name its certificate in `certificate_file`"));
        return None;
    }
    match name {
        Some(name) if name == SECRET_FILE.name() => section.required(&SECRET_FILE).map(Proof::SecretFile),
        Some(name) if name == FEDERATED.name() => section.required(&FEDERATED).map(Proof::Federated),
        Some(name) if name == CERTIFICATE.name() => {
            let certificate = section.required(&CERTIFICATE);
            let key = if key.is_some() { section.required(&KEY) } else { certificate.clone() };
            Some(Proof::Certificate { certificate: certificate?, key: key? })
        }
        Some(name) if name == MANAGED.name() => Some(Proof::Managed),
        _ => section.required(&SECRET).map(Proof::Secret),
    }
}

/// A file without a secret is told now and not at the first token.
fn holds_something(path: PathBuf) -> Result<PathBuf, Fault> {
    match report::read_text(&path, report::MAX_REFERENCE)?.trim().is_empty() {
        true => Err(Fault::new("is empty")),
        false => Ok(path),
    }
}

/// Ids go into URLs and forms; whatever else stands there is no id of Entra's.
fn id(_: &Form, id: &str) -> Result<String, Fault> {
    match id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
        true => Ok(id.to_owned()),
        false => Err(Fault::new("is no id").help("write the GUID that the Entra portal shows, or the tenant's domain")),
    }
}
