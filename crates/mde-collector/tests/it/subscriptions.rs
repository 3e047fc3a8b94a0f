//! Streams that an output takes no more, takes again, or that nobody pulls any more.

use crate::harness::{Bench, assert_same, count};
use std::fs;

/// What is said at start of events that are kept for an output which is not to have them.
const KEPT: &str = "this output takes this stream no more";

/// An output that nobody answers, and the same one as a file.
const AWAY: &str = "  late:\n    type: relay\n    config: {type: TCP, address: 127.0.0.1, port: 1}\n";
/// See [`AWAY`].
const BACK: &str = "  late:\n    type: file\n    config:\n      path: \"late/{service}.ndjson\"\n";

/// A tenant of two services, of which all that was pulled waits for the output `late`.
async fn bench() -> Bench {
    let bench = Bench::start(|config| config.alerts.count = 60).await;
    bench.edit("    services:\n", "    outputs: [files, late]\n    services:\n      software:\n");
    bench.output(AWAY);
    bench.run(&["--once", "--drain-timeout", "1s"]).ended().await.exits(1);
    assert_same(&bench.arrived(), &bench.expected());
    bench
}

/// Each alert has come to the second output once.
fn assert_late(bench: &Bench) {
    let text = fs::read_to_string(bench.path("late/alerts.ndjson")).expect("alerts have come");
    let late = count(text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")));
    assert_same(&late, &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_output_takes_no_more_is_named_holds_up_nobody_and_comes_when_it_is_taken_again() {
    let bench = bench().await;
    let waiting = bench.status().await["outputs"][1]["depth_events"].as_u64().expect("a number");
    assert!(waiting > 0);

    // Which part of the configuration a run works on has nothing to do with it.
    let part = bench.run(&["--once", "--service", "software", "--drain-timeout", "1s"]).ended().await.exits(1);
    assert!(!part.stderr.contains(KEPT), "{}", part.stderr);

    bench.edit("outputs: [files, late]", "outputs: [files]");
    for _ in 0..2 {
        let ended = bench.once().await.exits(0);
        assert_eq!(ended.stderr.matches(KEPT).count(), 2, "each stream is named at each start: {}", ended.stderr);
        let status = bench.status().await;
        assert_eq!(status["outputs"][1]["depth_events"], 0, "nothing waits for it that it is to have");
        assert_eq!(status["outbox"]["bytes"], 0, "pulling would not pause for it");
    }

    bench.edit("outputs: [files]", "outputs: [files, late]");
    bench.edit(AWAY, BACK);
    let ended = bench.once().await.exits(0);
    assert!(!ended.stderr.contains(KEPT), "{}", ended.stderr);
    assert_late(&bench);
    assert_eq!(bench.status().await["outbox"]["bytes"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_of_a_service_that_is_pulled_no_more_is_delivered_still() {
    let bench = bench().await;
    bench.edit("      alerts:\n", "");
    bench.edit(AWAY, BACK);
    bench.once().await.exits(0);
    assert_late(&bench);
    assert_eq!(bench.status().await["outbox"]["bytes"], 0);
}
