//! `credentials`: who we are, and how that is proved.

use super::problem::Fault;
use super::section::Section;
use super::{Credentials, Proof, report};
use std::path::Path;

/// Ways to prove it that this version does not have; ignoring one would only fail later, and less clearly.
const LATER: &[&str] = &["certificate_file", "key_file", "managed_identity", "federated_token_file"];

/// Reads the section; none when an error has been reported.
pub(super) fn load(section: Section<'_>) -> Option<Credentials> {
    if section.is_absent() {
        section.report.error(
            section.at(),
            Fault::new("`credentials` is missing").help("it needs tenant_id, client_id and client_secret"),
        );
        return None;
    }
    let tenant_id = section.text("tenant_id").check(|id| part_of_a_url(id)).required();
    let client_id = section.text("client_id").check(|id| part_of_a_url(id)).required();
    let proof = proof(&section);
    section.finish();
    Some(Credentials { tenant_id: tenant_id?, client_id: client_id?, proof: proof? })
}

/// The one proof that is given; none when an error has been reported.
fn proof(section: &Section<'_>) -> Option<Proof> {
    let later: Vec<_> = LATER.iter().filter_map(|name| section.given(name)).collect();
    for entry in &later {
        let fault = Fault::new(format!("`{}` is not available in this version", entry.key));
        section.report.error(entry.at(), fault.help("use client_secret or client_secret_file"));
    }
    match (section.entry("client_secret"), section.entry("client_secret_file")) {
        (Some(_), Some(second)) => {
            let fault = Fault::new("`client_secret` and `client_secret_file` are two ways to say one thing");
            section.report.error(second.at(), fault.help("keep one of the two"));
            None
        }
        (None, Some(_)) => {
            let file = section.file("client_secret_file", "credentials").check(|path| holds_something(path));
            file.required().map(Proof::SecretFile)
        }
        (None, None) if !later.is_empty() => None,
        (_, None) => section.secret("client_secret").required().map(Proof::Secret),
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
fn part_of_a_url(id: &str) -> Result<(), Fault> {
    match id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
        true => Ok(()),
        false => Err(Fault::new("is no id").help("write the GUID that the Entra portal shows, or the tenant's domain")),
    }
}
