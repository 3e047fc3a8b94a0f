//! A converted configuration says the same as the original, and has nothing left to convert.

use super::*;
use std::fs;

/// An official file with old spellings, what is not needed, and a query of several lines.
const OFFICIAL: &str = r#"
globals:
  debug: false
  id: not_used
  name: microsoft_defender
  multiprocessing: false
  queue_max_size_in_mb: 256
  persistence:
    type: filesystem
    config: {directory_name: state}
outputs:
  devo_us_1:
    type: devo_platform
    config:
      location: collector-us.devo.io
      port: 443
      type: SSL
      chain_loc: chain.crt
      cert_loc: demo_domain.crt
      key_loc: demo_domain.key
      threshold_for_using_gzip_in_transport_layer: 1.1
inputs:
  microsoft_defender:
    id: 12345
    enabled: true
    credentials:
      client_id: 00000000-0000-0000-0000-000000000001
      client_secret: "${env:CLIENT_SECRET}"
      tenant_id: 00000000-0000-0000-0000-000000000002
    services:
      alerts:
        filter: "severity ne 'Informational' and title ne \"a: b\""
      softwares:
        request_period_in_seconds: 3600
      vulnerabiities:
      advanced_huntuing:
        queries:
          - name: logons
            devo_tag: my.app.defender.logons
            timestamp_column: Timestamp
            query: |
              DeviceLogonEvents
              | where ActionType == "LogonFailed"
"#;

/// A configuration and what it is converted to, read from the same folder.
fn both(name: &str, text: &str) -> (Loaded, Loaded, Converted) {
    let folder = folder();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let options = Options { offline: true, ..Options::default() };
    let before = load(&path, &environment, options).unwrap_or_else(|problems| panic!("{problems}"));
    let converted = convert(Original::File(&path), &environment).unwrap_or_else(|problems| panic!("{problems}"));
    fs::write(&path, &converted.text).unwrap();
    let strict = Options { strict: true, offline: true, ..Options::default() };
    let after = load(&path, &environment, strict).unwrap_or_else(|problems| panic!("{problems}\n{}", converted.text));
    let again = convert(Original::File(&path), &environment).unwrap();
    assert_eq!((again.text.as_str(), again.changes.len()), (converted.text.as_str(), 0));
    (before, after, converted)
}

#[test]
fn an_official_file_is_converted_without_a_change_of_meaning() {
    let (before, after, converted) = both("config.yaml", OFFICIAL);
    assert_eq!(format!("{:?}", before.config), format!("{:?}", after.config));
    assert_eq!(
        converted.changes,
        [
            "globals.multiprocessing: left out, it is not needed",
            "globals.queue_max_size_in_mb: left out, it is not needed",
            "outputs.devo_us_1.config.location: is called address now",
            "outputs.devo_us_1.config.chain_loc: is called chain now",
            "outputs.devo_us_1.config.cert_loc: is called cert now",
            "outputs.devo_us_1.config.key_loc: is called key now",
            "inputs.microsoft_defender.services.softwares: is called software now",
            "inputs.microsoft_defender.services.vulnerabiities: is called vulnerabilities now",
            "inputs.microsoft_defender.services.advanced_huntuing: is called advanced_hunting now",
        ]
    );
    assert!(converted.text.contains("${env:CLIENT_SECRET}") && !converted.text.contains("hunter2"));
    assert!(converted.text.contains("            query: |\n"), "{}", converted.text);
}

#[test]
fn json_is_converted_to_yaml() {
    let text = r#"{"outputs": {"console_1": {"type": "console"}}, "inputs": {"acme": {"id": 7, "credentials":
        {"tenant_id": "t", "client_id": "c", "client_secret": "hunter2"}, "services": {"alerts": null, "machines": {"emit": "changes"}}}}}"#;
    let (before, after, converted) = both("config.json", text);
    assert_eq!(format!("{:?}", before.config), format!("{:?}", after.config));
    assert!(
        converted.text.contains("    services:\n      alerts:\n      machines:\n        emit: \"changes\"\n"),
        "{}",
        converted.text
    );
}

#[test]
fn the_example_is_converted_without_a_change() {
    let (before, after, converted) = both("config.yaml", &example().replace("my_domain", "demo_domain"));
    assert_eq!(format!("{:?}", before.config), format!("{:?}", after.config));
    let moved = |change: &&String| !change.contains(": stood in the file; set ");
    assert_eq!(converted.changes.iter().find(moved), None, "nothing but credentials is changed");
}

#[test]
fn no_credential_stands_in_what_is_converted_and_each_is_named_with_its_variable() {
    let text = with_input("    proxy: \"http://me:hunter2@proxy.example:3128\"\n", "      alerts:\n").replace(
        "inputs:\n",
        "  hec: {type: http, config: {url: \"https://h.example\", auth: {bearer: hunter2-b}, headers: {X-Key: hunter2-h}}}\n  \
         kept: {type: devo_http, config: {url: \"https://h.example\", domain: d, token: \"${env:CLIENT_SECRET}\"}}\ninputs:\n",
    );
    let folder = folder();
    let path = folder.path().join("config.yaml");
    fs::write(&path, text).unwrap();
    let converted = convert(Original::File(&path), &environment).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(!converted.text.contains("hunter2"), "{}", converted.text);
    assert!(!converted.changes.concat().contains("hunter2"), "{:?}", converted.changes);
    for name in ["ACME_CLIENT_SECRET", "ACME_PROXY", "HEC_AUTH_BEARER", "HEC_HEADERS_X_KEY"] {
        assert!(converted.text.contains(&format!("\"${{env:{name}}}\"")), "{name}: {}", converted.text);
        assert!(converted.changes.iter().any(|change| change.contains(&format!("set {name} "))), "{name}");
    }
    assert!(converted.text.contains("${env:CLIENT_SECRET}"), "a reference stays as it was");
    assert_eq!(converted.changes.len(), 4, "{:?}", converted.changes);
}

#[test]
fn what_does_not_load_is_not_converted() {
    let folder = folder();
    let path = folder.path().join("config.yaml");
    fs::write(&path, OFFICIAL.replace("type: SSL", "type: SLS")).unwrap();
    let problems = convert(Original::File(&path), &environment).unwrap_err();
    assert!(problems.to_string().contains("SLS"), "{problems}");
}
