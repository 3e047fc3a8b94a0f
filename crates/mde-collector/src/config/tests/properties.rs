//! Laws over generated input: nothing that a file can hold makes loading panic, and nothing that it keeps secret is ever shown.

use super::*;
use proptest::prelude::*;

/// A value in YAML's flow form, built of the words that the readers look for.
fn tree() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "globals",
            "outputs",
            "inputs",
            "services",
            "alerts",
            "machines",
            "vulnerabilities",
            "advanced_hunting",
            "queries",
            "query",
            "timestamp_column",
            "align",
            "mode",
            "emit",
            "changes_ignore",
            "enrichment",
            "status",
            "rotate",
            "client_secret_file",
            "config",
            "type",
            "credentials",
            "id",
            "flatten",
            "obfuscation_data",
            "name",
            "value",
            "requests_limits",
            "period",
            "sweep",
            "<<",
            "devo_platform",
            "console",
            "file",
            "cert",
            "port",
            "outbox",
            "max_bytes",
            "persistence",
            "client_secret",
            "tenant_id",
            "client_id",
            "path",
            "quota",
            "share",
            "enabled",
        ])
        .prop_map(str::to_owned),
        "[a-z_]{0,6}",
    ];
    let leaf = prop_oneof![
        word.clone(),
        Just("~".to_owned()),
        Just("'*'".to_owned()),
        Just("<placeholder>".to_owned()),
        Just("'${env:X}'".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        Just("2026-10-01".to_owned()),
        Just("10m".to_owned()),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|entries| {
                let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

/// Loads and renders in every form; whatever it says, it says it without a panic.
fn look(text: &[u8]) {
    for options in [Options::default(), Options { strict: true, offline: true, ..Options::default() }] {
        match load_as("any.yaml", text, options) {
            Ok(loaded) => drop(format!("{loaded:?}")),
            Err(problems) => {
                assert!(problems.error_count() > 0);
                drop(format!("{problems} {problems:?} {}", serde_json::to_string(&problems).unwrap()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        look(&octets);
    }

    #[test]
    fn arbitrary_punctuation_never_panics(text in "[-:,?!&*|>%@`'\"#{}\\[\\] \\n\\t\\ra<~.\\\\u]{0,60}") {
        look(text.as_bytes());
    }

    #[test]
    fn arbitrary_small_trees_never_panic(tree in tree()) {
        look(tree.as_bytes());
    }

    #[test]
    fn any_section_of_a_good_file_may_be_anything(inner in tree(), place in 0usize..11) {
        let parts = ["globals", "outputs", "inputs", "credentials", "services", "alerts", "console_1", "acme", "sweep", "machines", "queries"];
        let (mut globals, mut outputs, mut inputs) = ("{}".to_owned(), "{console_1: {type: console}}".to_owned(), String::new());
        let put = |part: &str, otherwise: &str| if parts[place] == part { inner.clone() } else { otherwise.to_owned() };
        let alerts = put("alerts", &format!("{{sweep: {}}}", put("sweep", "{every: 1h}")));
        let hunting = format!("{{queries: {}}}", put("queries", "[{name: q, query: x, devo_tag: a.b}]"));
        let machines = put("machines", "{emit: changes}");
        let services = format!("{{alerts: {alerts}, machines: {machines}, advanced_hunting: {hunting}}}");
        let services = put("services", &services);
        let credentials = put("credentials", "{tenant_id: t, client_id: c, client_secret: s}");
        let acme = put("acme", &format!("{{id: 1, credentials: {credentials}, services: {services}}}"));
        inputs += &put("inputs", &format!("{{acme: {acme}}}"));
        globals = put("globals", &globals);
        outputs = put("outputs", &put("console_1", &outputs));
        look(format!("globals: {globals}\noutputs: {outputs}\ninputs: {inputs}\n").as_bytes());
    }

    #[test]
    fn a_secret_is_never_shown_wherever_a_mistake_stands(cut in 0usize..700, insert in "[\"'{}:\\[\\]\\t<&]{0,2}", form in 0usize..3) {
        let texts = [
            "outputs: {c: {type: console}}\ninputs:\n  a:\n    id: 1\n    proxy: http://u:hunter2@p:1\n    credentials:\n      tenant_id: t\n      client_secret: \"hunter2\n        hunter2\"\n      client_id: ${env:X}\n    services:\n      alerts: {overlap: x}\n",
            "{\"outputs\": {\"c\": {\"type\": \"console\"}}, \"inputs\": {\"a\": {\"id\": 1, \"credentials\": {\"client_secret\": \"hunter2\", \"tenant_id\": \"\", \"client_id\": \"a b\"}, \"services\": {\"alerts\": {\"overlap\": \"x\"}}}}}",
            "outputs: {c: {type: console, config: {password: hunter2, x: y}}}\ninputs:\n  a: {id: 1, credentials: {client_secret: 'hunter2', clientsecret: hunter2, client_secret_: hunter2, tenant_id: [t], client_id: c}, services: {alertss: }}\n",
        ];
        let text = texts[form];
        let at = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        // What is cut off is left out or not: half a file, or a slip in the middle.
        for rest in ["", &text[at..]] {
            let broken = format!("{}{insert}{rest}", &text[..at]);
            let shown = match load_yaml(&broken) {
                Ok(loaded) => format!("{loaded:?}"),
                Err(problems) => format!("{problems} {problems:?} {}", serde_json::to_string(&problems).unwrap()),
            };
            prop_assert!(!shown.contains("hunter2"), "{}\n{}", broken, shown);
        }
    }
}
