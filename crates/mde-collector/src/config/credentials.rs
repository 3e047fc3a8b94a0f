//! `credentials`: who we are, and how that is proved.

use super::key::{Form, Key, Table, keys};
use super::problem::Fault;
use super::section::Section;
use super::{Credentials, Proof, Secret, report};
use std::path::{Path, PathBuf};

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
    SECRET_FILE: Key<PathBuf> = Key::file("client_secret_file", "credentials");
    /// Certificate of the application, PEM, instead of a secret.
    CERTIFICATE: Key<PathBuf> = Key::file("certificate_file", "certs");
    /// Private key of that certificate, PEM.
    KEY: Key<PathBuf> = Key::file("key_file", "certs");
    /// `true`: the identity of the machine that we run on.
    MANAGED: Key<bool> = Key::boolean("managed_identity").default("false");
    /// A file with a token of another issuer that Entra trusts for this application.
    FEDERATED: Key<PathBuf> = Key::file("federated_token_file", "credentials");
}

/// `inputs.*.credentials`.
pub(super) static TABLE: Table =
    Table { path: "inputs.*.credentials", doc: "Who we are, and how that is proved.", groups: &[KEYS] };

/// Whether the value of this key of `credentials` may be shown; a misspelled key gives nothing away.
pub(super) fn may_be_shown(key: &str) -> bool {
    TABLE.keys().map(|key| key.about()).any(|about| about.name == key && !matches!(about.form, Form::Secret))
}

/// Reads the section; none when an error has been reported.
pub(super) fn load(section: Section<'_>) -> Option<Credentials> {
    if section.is_absent() {
        section.report.error(
            section.at(),
            Fault::new("`credentials` is missing").help("it needs tenant_id, client_id and client_secret"),
        );
        return None;
    }
    let (tenant_id, client_id) = (section.required(&TENANT), section.required(&CLIENT));
    let proof = proof(&section);
    section.finish();
    Some(Credentials { tenant_id: tenant_id?, client_id: client_id?, proof: proof? })
}

/// The one proof that is given; none when an error has been reported.
fn proof(section: &Section<'_>) -> Option<Proof> {
    // That none of them can be used yet is told at the end of the section.
    let other = [section.given(&CERTIFICATE), section.given(&KEY), section.given(&MANAGED), section.given(&FEDERATED)];
    match (section.entry(&SECRET), section.entry(&SECRET_FILE)) {
        (Some(_), Some(second)) => {
            let fault = Fault::new("`client_secret` and `client_secret_file` are two ways to say one thing");
            section.report.error(second.at(), fault.help("keep one of the two"));
            None
        }
        (None, Some(_)) => {
            let file = section.required(&SECRET_FILE)?;
            match holds_something(&file) {
                Ok(()) => Some(Proof::SecretFile(file)),
                Err(fault) => {
                    section.wrong(&SECRET_FILE, fault);
                    None
                }
            }
        }
        (None, None) if other.iter().any(Option::is_some) => None,
        (_, None) => section.required(&SECRET).map(Proof::Secret),
    }
}

/// A file without a secret is told now and not at the first token.
fn holds_something(path: &Path) -> Result<(), Fault> {
    match report::read_text(path, report::MAX_REFERENCE)?.trim().is_empty() {
        true => Err(Fault::new("is empty")),
        false => Ok(()),
    }
}

/// Ids go into URLs and forms; whatever else stands there is no id of Entra's.
fn id(_: &Form, id: &str) -> Result<String, Fault> {
    match id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
        true => Ok(id.to_owned()),
        false => Err(Fault::new("is no id").help("write the GUID that the Entra portal shows, or the tenant's domain")),
    }
}
