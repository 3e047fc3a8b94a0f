//! Configurations that load, and what they come to.

use super::*;
use crate::config::outputs::compression::When;
use crate::config::outputs::devo::{Confirm, DateForm};
use std::time::Duration;

const MINIMAL: &str = "
globals:
  debug: false
  id: not_used
  name: microsoft_defender
  persistence:
    type: filesystem
    config:
      directory_name: kept
outputs:
  devo_us_1:
    type: devo_platform
    config:
      address: collector-us.devo.io
      port: 443
      type: SSL
      chain: chain.crt
      cert: demo_domain.crt
      key: demo_domain.key
inputs:
  microsoft_defender:
    id: 12345
    enabled: true
    credentials:
      client_id: 00000000-0000-0000-0000-000000000001
      client_secret: hunter2
      tenant_id: 00000000-0000-0000-0000-000000000002
    services:
      alerts:
";

/// The output of a loaded configuration that must be a syslog receiver.
fn devo(loaded: &Loaded, index: usize) -> &outputs::devo::Devo {
    match &loaded.config.outputs[index].output {
        OutputConfig::Devo(devo) => devo,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_least_official_form_loads_without_a_word() {
    let loaded = good(MINIMAL);
    assert_eq!(messages(&loaded.warnings), [""; 0]);
    let config = &loaded.config;
    assert_eq!(config.globals.name.as_deref(), Some("microsoft_defender"));
    assert_eq!(config.globals.persistence, Persistence::Filesystem { directory: "kept".into() });
    assert_eq!(config.globals.outbox_max_bytes, 4 << 30);
    let input = &config.inputs[0];
    assert_eq!((input.name.as_str(), input.id.as_str()), ("microsoft_defender", "12345"));
    assert_eq!(input.endpoints.api.as_str(), "https://api.security.microsoft.com/");
    let token = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000002/oauth2/v2.0/token";
    assert_eq!(input.endpoints.token.as_str(), token);
    assert_eq!(input.endpoints.scope, "https://api.securitycenter.microsoft.com/.default");
    assert_eq!(input.outputs, ["devo_us_1"]);
    assert_eq!(input.quota_share, 0.8);
    let alerts = service(&loaded);
    assert_eq!((alerts.def.name, alerts.period), ("alerts", Duration::from_secs(60)));
    assert_eq!((alerts.historical_ms, alerts.time_slots, alerts.filter.as_deref()), (None, false, None));
    assert_eq!(alerts.overlap, Duration::from_secs(600));
    assert_eq!(alerts.sweep, Sweep { every: Duration::from_secs(3_600), back: Duration::from_secs(86_400) });
    assert_eq!(alerts.tag, "edr.microsoft_defender.endpoint.alerts");
    let named = |name: &str| Selection::Named(vec![name.to_owned()]);
    let flatten = FlattenConfig {
        enabled: true,
        objects: named("relatedUser"),
        arrays: named("evidence"),
        max_events_per_record: 10_000,
    };
    assert_eq!(alerts.flatten, flatten);
    let output = devo(&loaded, 0);
    assert_eq!((output.kind, output.address.as_str(), output.port), ("devo_platform", "collector-us.devo.io", 443));
    assert_eq!((output.date, output.confirm), (DateForm::Iso, Confirm::Acked { after: Duration::from_secs(5) }));
    let tls = output.tls.as_ref().unwrap();
    assert!(tls.check_hostname);
    assert!(tls.chain.as_ref().unwrap().ends_with("certs/chain.crt"));
    assert!(tls.identity.as_ref().unwrap().key.ends_with("certs/demo_domain.key"));
    assert_eq!(config.outputs[0].from, From::Now);
    assert_eq!(loaded.files.len(), 4, "the configuration and three of TLS: {:?}", loaded.files);
}

#[test]
fn every_documented_key_is_understood() {
    let loaded = good(
        "
globals:
  debug: true
  id: 4711
  name: Defender Prod.EU
  persistence: {type: filesystem, config: {directory_name: state}}
  multiprocessing: false
  queue_max_size_in_mb: 256
  queue_max_size_in_messages: 1000
  queue_max_elapsed_time_in_sec: 60
  queue_wrap_max_size_in_messages: 100
  queue_generate_metrics: false
  sender_stats_period_in_sec: 300
  devo_sender_threshold_for_using_gzip_in_transport_layer: 0.75
  devo_sender_compression_level: 6
  devo_sender_compression_buffer_in_bytes: 51200
  generate_collector_details: false
outputs:
  devo_eu_1:
    type: devo_platform
    config:
      location: collector-eu.devo.io
      port: 443
      type: SSL
      chain_loc: chain.crt
      cert_loc: demo_domain.crt
      key_loc: demo_domain.key
      threshold_for_using_gzip_in_transport_layer: -1.0
      compression_level: 6
      compression_buffer_in_bytes: 51200
      connecting_retries: 5
      connecting_max_wait_in_seconds: 30
      connecting_initial_wait_in_seconds: 3
      sending_timeout: 5
      sending_retries: 5
      sending_max_wait_in_seconds: 60
      sending_initial_wait_in_seconds: 2
      sending_wait_between_retries_in_seconds: 1
  relay_1:
    type: syslog
    config: {address: 127.0.0.1, port: 13000, period_sender_stats_in_seconds: 60, concurrent_connections: 2}
  console_1:
    type: console
    config: {destination: standard}
inputs:
  microsoft_defender:
    id: short_unique_id
    enabled: yes
    environment: prod
    requests_per_second: 5
    override_api_base_url: https://api.securitycenter.microsoft.com
    override_token_url: https://login.microsoftonline.com
    requests_limits:
      - period: 1d
        number_of_requests: -1
      - {period: 1M, number_of_requests: 100}
    autoconfig:
      enabled: false
    credentials: {client_id: a-1, client_secret: hunter2, tenant_id: b-2}
    services:
      alerts:
        request_period_in_seconds: 300
        historical_poll_datetime: 2024-09-18T00:00:00Z
        request_alert_related_files: true
        request_alert_related_ips: false
        obfuscation_data:
          - name: [computerDnsName]
            value: hidden
          - {name: [evidence, fileName], value: }
      machines:
        request_machine_logon_users: true
      softwares:
        request_softtware_missing_kbs: true
      vulnerabiities:
      recommendations:
      investigations:
        historical_poll_datetime: \"2024-09-18 00:00:00\"
      advanced_huntuing: {queries: [{name: a, query: DeviceInfo, devo_tag: my.app.a.b}]}
",
    );
    let told = messages(&loaded.warnings);
    assert_eq!(loaded.config.globals.name.as_deref(), Some("Defender_Prod_EU"));
    assert!(loaded.config.globals.debug);
    let input = &loaded.config.inputs[0];
    let limit = |seconds, calls| CallLimit { period: Duration::from_secs(seconds), calls };
    assert_eq!(input.limits, [limit(1, 5), limit(30 * 86_400, 100)]);
    assert_eq!(input.environment.as_deref(), Some("prod"));
    assert_eq!(input.endpoints.api.as_str(), "https://api.securitycenter.microsoft.com/");
    let alerts = service(&loaded);
    assert_eq!((alerts.period, alerts.historical_ms), (Duration::from_secs(300), Some(1_726_617_600_000)));
    let rule = |path: &[&str], value: &str| Obfuscation {
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        value: value.into(),
    };
    assert_eq!(alerts.obfuscation, [rule(&["computerDnsName"], "\"hidden\""), rule(&["evidence", "fileName"], "null")]);
    let names: Vec<_> = input.services.iter().map(|service| service.def.name).collect();
    let documented =
        ["alerts", "machines", "software", "vulnerabilities", "recommendations", "investigations", "advanced_hunting"];
    assert_eq!(names, documented);
    assert_eq!(input.services[2].counts.iter().map(|count| count.field).collect::<Vec<_>>(), ["related_missing_kbs"]);
    let eu = devo(&loaded, 0);
    assert_eq!((eu.initial_wait, eu.max_wait), (Duration::from_secs(3), Duration::from_secs(30)));
    let relay = devo(&loaded, 1);
    assert_eq!((relay.kind, relay.date, relay.tls.is_none()), ("syslog", DateForm::Bsd, true));
    let gzip = eu.gzip.expect("it compresses");
    assert_eq!((gzip.threshold, gzip.level(), gzip.buffer()), (Some(0.75), 6, 51_200), "globals win");
    assert_eq!(gzip.when(), When::Backlog { above: 3 << 30, below: 3 << 30 }, "of an outbox of 4 GiB");
    assert_eq!((relay.gzip, relay.connections), (None, 2), "plain syslog is never compressed");
    // One warning each: name, 8 of globals, 6 of the sender, statistics, host.
    assert_eq!(told.len(), 1 + 8 + 6 + 1 + 1, "{told:#?}");
}

#[test]
fn the_two_files_of_the_collector_server_are_one_configuration() {
    let folder = folder();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let job = write(
        "job_config.json",
        "{\n\t\"global_overrides\": {\"debug\": true, \"devo_sender_compression_level\": 3},\n\t\"inputs\": {\"microsoft_defender\": {\"id\": 7, \"enabled\": true,
\t\"credentials\": {\"client_id\": \"c\", \"client_secret\": \"hun\\/ter2 \\ud83d\\ude00\", \"tenant_id\": \"t\"},
\t\"services\": {\"alerts\": {\"request_period_in_seconds\": 300}, \"machines\": {}}}}}",
    );
    let collector = write(
        "collector_config.json",
        "{\"job_id\": 4711, \"job_name\": \"defender prod.eu\", \"debug\": false,
          \"state_store\": {\"type\": \"filesystem\", \"config\": {\"dir\": \"elsewhere\"}},
          \"loggers\": [{\"type\": \"devo_platform\", \"config\": {\"url\": \"collector-us.devo.io\", \"port\": 443, \"type\": \"SSL\",
             \"chain_loc\": \"chain.crt\", \"cert_loc\": \"demo_domain.crt\", \"key_loc\": \"demo_domain.key\"}},
            {\"type\": \"console\"}]}",
    );
    let loaded =
        load_job(&job, &collector, &environment, Options::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let config = &loaded.config;
    assert!(config.globals.debug, "what global_overrides says wins");
    assert_eq!(config.globals.name.as_deref(), Some("defender_prod_eu"));
    assert_eq!(config.globals.persistence, Persistence::Filesystem { directory: "elsewhere".into() });
    assert_eq!(config.outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(), ["output_1", "output_2"]);
    assert_eq!(config.inputs[0].outputs, ["output_1", "output_2"]);
    match &config.inputs[0].credentials.proof {
        Proof::Secret(secret) => assert_eq!(secret.expose(), "hun/ter2 😀"),
        other => panic!("{other:?}"),
    }
    let places: Vec<_> = loaded.warnings.iter().map(|warning| (warning.path.as_str(), warning.line)).collect();
    assert_eq!(places, [("job_name", Some(1))], "each in its own file, under its own name");
    let OutputConfig::Devo(devo) = &config.outputs[0].output else { panic!("devo") };
    assert_eq!(devo.gzip.map(|gzip| gzip.level()), Some(3));
}

#[test]
fn a_slip_in_either_file_of_the_collector_server_is_found() {
    let folder = folder();
    let (job, collector) = (folder.path().join("job.json"), folder.path().join("collector.json"));
    std::fs::write(&job, "{\"global_override\": {}, \"inputs\": {}}").unwrap();
    std::fs::write(&collector, "{\"logers\": {}, \"state_store\": 5}").unwrap();
    let problems = load_job(&job, &collector, &environment, Options::default()).unwrap_err();
    let told = messages(&problems.0);
    for expected in [
        "global_override: the key `global_override` is not known here",
        "logers: the key `logers` is not known here",
        "state_store: must be a section, not one value",
        "inputs: there is no input",
        "outputs: there is no output",
    ] {
        assert!(told.iter().any(|line| line == expected), "{expected}: {told:#?}");
    }
}

#[test]
fn everything_of_ours_can_be_said() {
    let loaded = good(&with_input(
        "    cloud: gcc-high\n    ca_file: chain.crt\n    proxy: http://u:hunter2@proxy:3128\n    quota: {share: 0.5}\n    outputs: console_1\n    historical_poll_datetime: 2026-10-01\n    override_devo_tag: my.app.all.alerts\n",
        "      alerts:
        overlap: 1h30m
        sweep: {every: 2h, back: 3d}
        flatten: {objects: \"*\", arrays: [], max_events_per_record: 5}
        filter: \"severity ne 'Informational'\"
        use_time_slots_for_retrievals: true
        requests_per_second: 3
",
    ));
    assert_eq!(messages(&loaded.warnings), [""; 0]);
    let input = &loaded.config.inputs[0];
    assert_eq!(input.endpoints.api.as_str(), "https://api-gov.securitycenter.microsoft.us/");
    assert_eq!(input.endpoints.token.as_str(), "https://login.microsoftonline.us/t/oauth2/v2.0/token");
    assert_eq!(input.endpoints.scope, "https://api-gov.securitycenter.microsoft.us/.default");
    assert_eq!(input.proxy.as_ref().unwrap().expose(), "http://u:hunter2@proxy:3128");
    assert_eq!((input.quota_share, input.outputs.as_slice()), (0.5, ["console_1".to_owned()].as_slice()));
    assert!(input.ca_file.as_ref().unwrap().ends_with("certs/chain.crt"));
    let alerts = service(&loaded);
    assert_eq!(alerts.overlap, Duration::from_secs(5_400));
    assert_eq!(alerts.sweep, Sweep { every: Duration::from_secs(7_200), back: Duration::from_secs(3 * 86_400) });
    let flatten = FlattenConfig {
        enabled: true,
        objects: Selection::All,
        arrays: Selection::Named(vec![]),
        max_events_per_record: 5,
    };
    assert_eq!(alerts.flatten, flatten);
    assert_eq!(alerts.filter.as_deref(), Some("severity ne 'Informational'"));
    assert!(alerts.time_slots);
    assert_eq!(alerts.limits, [CallLimit { period: Duration::from_secs(1), calls: 3 }]);
    assert_eq!((alerts.historical_ms, alerts.tag.as_str()), (Some(1_790_812_800_000), "my.app.all.alerts"));
}

#[test]
fn one_word_names_the_hosts_of_a_cloud_on_both_apis() {
    for (cloud, api, graph) in [
        ("commercial", "api.security.microsoft.com", "graph.microsoft.com"),
        ("gcc", "api-gcc.securitycenter.microsoft.us", "graph.microsoft.com"),
        ("gcc_high", "api-gov.securitycenter.microsoft.us", "graph.microsoft.us"),
        ("dod", "api-gov.securitycenter.microsoft.us", "dod-graph.microsoft.us"),
    ] {
        let loaded = good(&with_input(&format!("    cloud: {cloud}\n"), "      alerts:\n"));
        let endpoints = &loaded.config.inputs[0].endpoints;
        assert_eq!(endpoints.api.host_str(), Some(api), "{cloud}");
        assert_eq!(endpoints.graph.host_str(), Some(graph), "{cloud}");
        assert_eq!(endpoints.graph_scope, format!("https://{graph}/.default"), "{cloud}: its own tokens");
    }
}

#[test]
fn outputs_take_what_their_type_knows() {
    let loaded = good(
        &with_input("", "      alerts: {flatten: false}\n").replace(
            "  console_1:\n    type: console\n",
            "  relay: {type: relay, config: {address: \"::1\", port: 9, check_hostname: false, confirm: closed, date: bsd, hostname: me, from: oldest}}
  plain: {type: relay, config: {address: localhost, port: \"${env:PORT}\", type: TCP, confirm_after: 1s, from: relay}}
  files: {type: file, config: {path: \"out/{tenant}/{service}-{date}.ndjson\", from: former}}
  screen: {type: stdout}
  off: {type: console, enabled: false}\n",
        ),
    );
    assert_eq!(messages(&loaded.warnings), [""; 0]);
    let (relay, plain) = (devo(&loaded, 0), devo(&loaded, 1));
    let tls = relay.tls.as_ref().unwrap();
    assert_eq!((tls.check_hostname, tls.identity.is_none(), tls.chain.is_none()), (false, true, true));
    assert_eq!((relay.confirm, relay.date, relay.hostname.as_deref()), (Confirm::Closed, DateForm::Bsd, Some("me")));
    assert_eq!((plain.tls.is_none(), plain.port, plain.date), (true, 443, DateForm::Iso));
    assert_eq!(plain.confirm, Confirm::Acked { after: Duration::from_secs(1) });
    let from: Vec<_> = loaded.config.outputs.iter().map(|output| output.from.clone()).collect();
    assert_eq!(from, [From::Oldest, From::Output("relay".into()), From::Output("former".into()), From::Now]);
    assert_eq!(loaded.config.inputs[0].outputs, ["relay", "plain", "files", "screen"]);
    assert!(!service(&loaded).flatten.enabled);
}

#[test]
fn references_work_in_any_text_and_secrets_come_from_files() {
    let text = with_input("    environment: \"$${env:x} ${env:PORT}\"\n", "      alerts:\n");
    let loaded = good(&text.replace("client_secret: hunter2", "client_secret: \"${file:secret.txt}\""));
    assert_eq!(loaded.config.inputs[0].environment.as_deref(), Some("${env:x} 443"));
    match &loaded.config.inputs[0].credentials.proof {
        Proof::Secret(secret) => assert_eq!(secret.expose(), "hunter2-from-file"),
        other => panic!("{other:?}"),
    }
    let loaded = good(&text.replace("client_secret: hunter2", "client_secret_file: secret.txt"));
    match &loaded.config.inputs[0].credentials.proof {
        Proof::SecretFile(path) => assert!(path.ends_with("secret.txt"), "{path:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(loaded.files.len(), 2, "a change of the secret's file is seen: {:?}", loaded.files);
}

#[test]
fn what_is_switched_off_is_not_looked_at() {
    let text = with_input("", "      alerts:\n")
        + "  other: {enabled: false, id: acme, credentials: {tenant_id: <tenant>}, nonsense: 1}\n";
    let loaded = good(&text);
    assert_eq!((loaded.config.inputs.len(), loaded.warnings.len()), (1, 0));
}

#[test]
fn anchors_and_merge_keys_share_what_tenants_have_in_common() {
    let loaded = good(
        "outputs: {c: {type: console}}
inputs:
  one: &one
    id: 1
    credentials: &who {tenant_id: t, client_id: c, client_secret: hunter2}
    services: {alerts: {overlap: 5m}}
  two:
    <<: *one
    id: 2
  three: {id: 3, credentials: *who, services: {alerts: }}
",
    );
    let ids: Vec<_> = loaded.config.inputs.iter().map(|input| input.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(loaded.config.inputs[1].services[0].overlap, Duration::from_secs(300));
}

#[test]
fn placeholders_are_warnings_offline_and_the_rest_is_still_checked() {
    let text = MINIMAL
        .replace("id: 12345", "id: <short_unique_id>")
        .replace("port: 443", "port: <port>")
        .replace("demo_domain.crt", "<devo_domain>.crt")
        .replace("hunter2", "<client_secret_value>");
    let offline = load_as("a.yaml", &text, Options { offline: true, ..Options::default() })
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(offline.warnings.len(), 4, "{:#?}", messages(&offline.warnings));
    assert!(offline.warnings.iter().all(|warning| warning.message.ends_with("is a placeholder")));
    let problems = load_yaml(&text).unwrap_err();
    assert_eq!((problems.error_count(), problems.0.len()), (4, 4), "{problems}");
    let also_wrong = text.replace("chain.crt", "nowhere.crt");
    let problems = load_as("a.yaml", also_wrong, Options { offline: true, ..Options::default() }).unwrap_err();
    assert_eq!(problems.error_count(), 1, "a missing certificate is always an error: {problems}");
}

#[test]
fn an_unknown_key_is_one_warning_and_an_error_when_strict() {
    let text = with_input("    brand_new_official_key: {deep: [1, 2]}\n", "      alerts:\n");
    assert_eq!(
        messages(&good(&text).warnings),
        ["inputs.acme.brand_new_official_key: the key `brand_new_official_key` is not known here"]
    );
    let problems = load_as("a.yaml", &text, Options { strict: true, ..Options::default() }).unwrap_err();
    assert_eq!((problems.error_count(), problems.0.len()), (1, 1));
}

#[test]
fn ten_mistakes_are_ten_problems_in_one_run() {
    let problems = load_yaml(
        "globals: {name: 'a/b', outbox: {max_bytes: 1MiB}}
outputs:
  d: {type: devo_platform, config: {address: 'https://x', port: 70000, cert: demo_domain.crt, key: demo_domain.key}}
  f: {type: file}
inputs:
  a:
    id: 1
    credentials: {tenant_id: t, client_id: c}
    quota: {share: 2}
    services: {alerts: {overlap: soon, devo_tag: 'a b', sweeep: {}}}
",
    )
    .unwrap_err();
    assert_eq!((problems.error_count(), problems.0.len()), (10, 10), "{problems}");
    assert!(problems.to_string().ends_with("10 errors"));
}

#[test]
fn a_relative_configuration_is_also_looked_up_in_the_folder_config() {
    // The names are those of no file, so that only the look-up itself is seen.
    let problems = load(Path::new("no-such-configuration.yaml"), &environment, Options::default()).unwrap_err();
    let help = "looked for no-such-configuration.yaml, config/no-such-configuration.yaml, seen from the working directory; name it with `--config FILE` or in CONFIG_FILE";
    assert_eq!(problems.0[0].help.as_deref(), Some(help));
}

#[test]
fn problems_have_a_form_for_machines() {
    let problems = load_yaml(with_input("", "      alerts: {overlap: soon}\n")).unwrap_err();
    let json = serde_json::to_value(&problems).unwrap();
    assert_eq!(json[0]["severity"], "error");
    assert_eq!(json[0]["path"], "inputs.acme.services.alerts.overlap");
    assert_eq!((&json[0]["line"], &json[0]["column"], &json[0]["text"]), (&9.into(), &25.into(), &"soon".into()));
}

#[test]
fn what_outputs_obey_is_read() {
    let loaded = good(
        &with_input("", "      alerts:\n").replace(
            "  console_1:\n    type: console\n",
            "  d: {type: relay, config: {address: localhost, port: 1, threshold_for_using_gzip_in_transport_layer: -1, concurrent_connections: 3, required: false, event_id: off, max_event_bytes: 2MiB}}
  f: {type: file, config: {path: f, rotate: {max_bytes: 256MiB, every: 1h}, compress: zstd}}
",
        ),
    );
    let [d, f] = loaded.config.outputs.as_slice() else { panic!("two") };
    assert_eq!((d.required, d.event_id, d.max_event_bytes, d.connections), (false, false, 2 << 20, 3));
    assert_eq!((f.required, f.event_id, f.max_event_bytes, f.connections), (true, true, 1 << 20, 1));
    let gzip = devo(&loaded, 0).gzip.expect("it compresses");
    assert_eq!((gzip.when(), gzip.level(), gzip.buffer(), devo(&loaded, 0).connections), (When::Always, 6, 51_200, 3));
    match &f.output {
        OutputConfig::File(file) => {
            let rotate = outputs::file::Rotate { max_bytes: Some(256 << 20), every: Some(Duration::from_secs(3_600)) };
            assert_eq!((file.rotate, file.compress), (Some(rotate), outputs::file::Compress::Zstd));
        }
        other => panic!("{other:?}"),
    }
}
