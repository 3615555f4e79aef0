//! The names that the stock `hubble` command knows.

use std::path::Path;

use bailey_bpf::reason::REASONS;
use bailey_telemetry::flow_log::drop_reason;

/// Another name in `drop_reason_desc` gives a warning, and the command prints no reason.
#[test]
fn conformance_suites_know_each_drop_reason() {
    let folder = std::env::var("BAILEY_CONFORMANCE").expect("BAILEY_CONFORMANCE names the folder");
    let path = Path::new(&folder).join("hubble/drop-reasons.txt");
    let known = std::fs::read_to_string(path).unwrap();
    for reason in REASONS {
        if let Some((number, name)) = drop_reason(reason.name) {
            let line = format!("{number} {name}");
            assert!(known.lines().any(|known| known == line), "{line}");
        }
    }
}
