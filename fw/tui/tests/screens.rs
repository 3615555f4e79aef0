//! Whole screens, byte for byte, of one set of numbers.

mod fixture;

use std::sync::Arc;

use bailey_tui::data::{Confirm, Flood};
use bailey_tui::filter::Filter;
use bailey_tui::look::Look;
use bailey_tui::model::{Age, Model, View};
use bailey_tui::spark::Span;
use bailey_tui::view::{Canvas, screen};
use fixture::*;

/// The screen as text.
fn shown(model: &Model, width: usize, height: usize) -> Vec<String> {
    let canvas = Canvas {
        width,
        height,
        look: Look {
            is_ascii: false,
            is_plain: false,
            ..Look::default()
        },
        span: Span::Minute,
    };
    screen(model, &canvas)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn assert_screen(name: &str, model: &Model) {
    let expected = expected(name);
    let size = name.rsplit_once('-').unwrap().1;
    let (width, height) = size.split_once('x').unwrap();
    let found = shown(model, width.parse().unwrap(), height.parse().unwrap());
    let differ = expected
        .iter()
        .zip(&found)
        .enumerate()
        .filter(|(_, (a, b))| a != b);
    let lines: Vec<String> = differ
        .map(|(at, (a, b))| format!("{at:2} expected |{a}|\n   found    |{b}|"))
        .collect();
    assert!(lines.is_empty(), "{name}\n{}", lines.join("\n"));
    assert_eq!(found.len(), expected.len());
}

fn model(view: View) -> Model {
    Model {
        data: Arc::new(data()),
        view,
        age: Age::Live,
        clock: ("2026-11-27".into(), "03:12:07".into()),
        ..Model::default()
    }
}

#[test]
fn overview_shows_everything_at_once() {
    let mut model = model(View::Overview);
    let mut data = data();
    data.rules.truncate(4);
    let lines = expected("overview-80x24");
    data.packets_in = history(&cells(&lines, 5, 1..31), 3_210_000.0);
    data.dropped = history(&cells(&lines, 7, 1..31), 61_012.0);
    adopt_cells(&mut data, &lines[11..16], 55..67);
    let rules = std::mem::take(&mut data.rules);
    adopt_cells(&mut data, &lines[16..20], 28..40);
    data.rules = rules;
    model.data = Arc::new(data);
    assert_screen("overview-80x24", &model);
}

#[test]
fn rules_wait_for_a_confirmation() {
    let mut model = model(View::Rules);
    let mut data = data();
    data.revision = 43;
    data.confirm = Some(Confirm {
        back_to: 42,
        seconds: 221,
        by: String::new(),
    });
    data.counts_since = Some("2026-11-20".into());
    model.data = Arc::new(data);
    let list = &mut model.lists[View::Rules.index()];
    list.filter = Filter::parse("policy:shop/").unwrap();
    list.selected = Some(format!("{DENY:010}"));
    assert_screen("rules-80x24", &model);
}

#[test]
fn rules_fit_the_least_terminal() {
    let mut model = model(View::Rules);
    let mut data = data();
    let audited = data
        .rules
        .iter_mut()
        .find(|rule| rule.name == "shop/audit-me in[0]");
    Arc::make_mut(audited.unwrap()).packet_rate = Some(0.0);
    adopt_cells(&mut data, &expected("rules-60x15"), 47..53);
    for rule in &mut data.rules {
        let rule = Arc::make_mut(rule);
        rule.name = rule.name.replace(" 20/s", "");
    }
    model.data = Arc::new(data);
    assert_screen("rules-60x15", &model);
}

#[test]
fn flow_table_fills_under_a_flood() {
    let mut model = model(View::Conntrack);
    let mut data = data();
    data.flood = Some(Flood {
        seconds: 130,
        extent: " on 7 of 8 CPUs".into(),
    });
    flood(&mut data);
    model.data = Arc::new(data);
    assert_screen("conntrack-80x24", &model);
}

#[test]
fn drops_name_their_last_packets() {
    let mut model = model(View::Drops);
    let mut data = data();
    data.packets.retain(|packet| packet.reason == "policy");
    adopt_cells(&mut data, &expected("drops-80x24")[5..13], 51..63);
    model.data = Arc::new(data);
    model.lists[View::Drops.index()].selected = Some("policy policy eth0".into());
    assert_screen("drops-80x24", &model);
}
