//! Loading the programs again over pinned maps leaves every byte of these maps as it is.

mod harness;

use std::collections::BTreeMap;

use bailey_config::Settings;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::testing::Elements;
use harness::*;

/// The values that programs address directly.
const DIRECT: [&str; 4] = ["control", "probe_control", "flow_keys", "own_filter"];

fn assert_equal(after: &BTreeMap<String, Elements>, before: &BTreeMap<String, Elements>) {
    assert!(before.keys().eq(after.keys()));
    for (name, elements) in before {
        // Not `assert_eq`: some maps have megabytes.
        assert!(after[name] == *elements, "the contents of {name} changed");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn second_load_changes_no_pinned_byte() {
    let h = Harness::new(Settings {
        flows: 1024,
        rules: 256,
        ..without_flood_defence()
    });
    for family in [0, 1] {
        for port in 40000..40050 {
            assert!(h.run(Hook::Xdp, &tcp(CLIENT[family], POD[family], port, 80, SYN)));
        }
        assert!(!h.run(Hook::Xdp, &tcp(STRANGER[family], POD[family], 1, 80, SYN)));
    }
    h.datapath.fill_values().unwrap();
    let before = h.datapath.pinned_contents().unwrap();
    for name in DIRECT {
        let words = before[name].values().flat_map(|value| value.as_chunks().0);
        assert!(words.clone().count() > 0);
        assert!(
            words.copied().all(|word| u64::from_ne_bytes(word) != 0),
            "{name}"
        );
    }
    for name in [
        "flows",
        "flow_tags",
        "flow_counts6",
        "reason_counters",
        "rule_counters",
    ] {
        let mut bytes = before[name].values().flatten();
        assert!(bytes.any(|byte| *byte != 0), "{name} has contents");
    }

    let again = h.datapath.open_again().unwrap();
    assert!(again.is_adopted());
    assert_equal(&h.datapath.pinned_contents().unwrap(), &before);
    for datapath in [&h.datapath, &again] {
        datapath.load_generation(&h.tables).unwrap();
        assert_equal(&h.datapath.pinned_contents().unwrap(), &before);
    }
    assert_eq!(h.flows().len(), 100);
}
