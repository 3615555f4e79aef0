//! Updates of the daemon, merged: complete lines, changes, silence, removal.

use bailey_control::api_watch::Update;
use bailey_tui::data::{Merger, Mode};
use serde_json::{Value, json};

fn rule(id: u32, packets: u64, rate: f32, recent: &[f32]) -> Value {
    json!({
        "id": id, "rule": format!("shop/rule-{id} in[0]"), "kind": "rule", "verdict": "allow",
        "hits": 1, "packets": packets, "bytes": packets * 100, "rate_limited": 0, "idle_seconds": 1,
        "rates": {"hits": 0.0, "packets": rate, "bytes": rate * 100.0}, "recent": recent,
    })
}

fn counter(reason: &str, packets: u64, rate: f32, recent: &[f32]) -> Value {
    let verdict = if reason == "flow" { "pass" } else { "drop" };
    json!({
        "interface": "eth0", "hook": "xdp", "verdict": verdict, "reason": reason, "kind": "policy",
        "packets": packets, "bytes": packets * 100, "packets_per_second": rate, "recent": recent,
        "help": "a reason",
    })
}

fn update(is_complete: bool, rules: &[Value], counters: &[Value]) -> Update {
    let table = json!({
        "slots_used": 5, "slots": 100, "live_flows": 3, "limit": 50, "timeout_scaling_from": 30,
        "timeout_percent": 100,
    });
    let stamp = json!({"schema_version": 3, "time": "", "node": "edge\u{1b}[31m", "generation": 7});
    let with = |more: Value| {
        let mut all = stamp.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let lists = json!({"sources": [], "targets": [], "ports": [], "rules": []});
    serde_json::from_value(json!({
        "complete": is_complete,
        "status": with(json!({
            "enforcing": true, "guard": false, "interfaces": [], "flow_table": table, "flood_seconds": null,
            "blocks": 0, "blocked": [], "problems": [], "daemon": null,
        })),
        "flow_stats": with(json!({"flow_table": table, "states": [], "events": []})),
        "counters": counters,
        "rules": rules,
        "talkers": with(json!({"seconds": 60, "dropped": lists, "new": lists})),
    }))
    .unwrap()
}

#[test]
fn silent_rules_age_and_their_rates_end() {
    let mut merger = Merger::default();
    let first = [rule(1, 10, 5.0, &[1.0, 2.0, 5.0]), rule(2, 20, 0.0, &[])];
    let data = merger.merge(update(true, &first, &[]), 0.0);
    assert_eq!((data.mode, data.revision), (Mode::Enforce, 7));
    assert_eq!(data.node, "edge\\x1b[31m");
    // The last of the recent seconds is the present one, once.
    assert_eq!(
        (0..60).map(|at| data.rules[0].history.at(at)).sum::<f32>(),
        8.0
    );
    assert_eq!(data.rules[0].packet_rate, Some(5.0));

    let data = merger.merge(update(false, &[rule(2, 25, 4.0, &[])], &[]), 1.0);
    assert_eq!(data.rules[0].packet_rate, Some(0.0));
    assert_eq!(
        (
            data.rules[0].idle_at(data.now),
            data.rules[1].idle_at(data.now)
        ),
        (Some(2), Some(1))
    );
    for _ in 0..10 {
        merger.merge(update(false, &[], &[]), 1.0);
    }
    let data = merger.merge(update(false, &[], &[]), 1.0);
    assert_eq!(data.rules[0].idle_at(data.now), Some(13));
    // Only a complete line takes rules away.
    assert_eq!(data.rules.len(), 2);
    let data = merger.merge(update(true, &[rule(2, 25, 0.0, &[])], &[]), 1.0);
    assert_eq!(
        data.rules.iter().map(|rule| rule.id).collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn traffic_is_the_sum_of_its_counters() {
    let mut merger = Merger::default();
    let both = |flow: u64, policy: u64, rates: [f32; 2]| {
        [
            counter("flow", flow, rates[0], &[]),
            counter("policy", policy, rates[1], &[]),
        ]
    };
    merger.merge(update(true, &[], &both(100, 10, [0.0, 0.0])), 0.0);
    // The line comes early; the rate is that of the daemon's second.
    let data = merger.merge(update(false, &[], &both(190, 20, [90.0, 10.0])), 0.05);
    assert_eq!(
        (data.packets_in.last(), data.dropped.last()),
        (Some(100.0), Some(10.0))
    );
    assert_eq!(data.bytes_in, Some(10_000.0));
    assert_eq!((data.drops.len(), data.drops[0].rate), (1, Some(10.0)));
    let data = merger.merge(update(false, &[], &[]), 1.0);
    assert_eq!(
        (data.packets_in.last(), data.bytes_in),
        (Some(0.0), Some(0.0))
    );
}
