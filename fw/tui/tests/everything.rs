//! Every key in every view, at many sizes, with nothing, with usual and with hostile data: each screen has exactly
//! its size and nothing that a terminal would obey.

mod fixture;

use std::sync::Arc;

use bailey_tui::data::{Block, Data, Flow, Flows, Mode, Packet, Talker};
use bailey_tui::filter::Filter;
use bailey_tui::look::Look;
use bailey_tui::model::{Age, Model, View, orders, shown_rows};
use bailey_tui::spark::{History, Span};
use bailey_tui::text::{escape, width};
use bailey_tui::update::{Key, TABLE, on_key};
use bailey_tui::view::{Canvas, screen};

const SIZES: [(usize, usize); 6] = [
    (60, 15),
    (79, 20),
    (80, 24),
    (120, 40),
    (121, 30),
    (200, 60),
];

fn assert_screens(model: &Model, context: &str) {
    for (columns, lines) in SIZES {
        for is_ascii in [false, true] {
            let canvas = Canvas {
                width: columns,
                height: lines,
                look: Look {
                    is_ascii,
                    is_plain: is_ascii,
                    ..Look::default()
                },
                span: Span::Minute,
            };
            let shown = screen(model, &canvas);
            assert_eq!(shown.len(), lines, "{context}");
            for line in shown {
                let text = line.to_string();
                let at = format!("{context} at {columns}x{lines}: {text:?}");
                assert_eq!(width(&text), columns, "{at}");
                assert!(!text.chars().any(char::is_control), "{at}");
                assert!(!is_ascii || text.is_ascii(), "{at}");
            }
        }
    }
}

/// Texts that a terminal or a table could stumble over.
const HOSTILE: [&str; 8] = [
    "\x1b[2J\x1b]0;owned\x07",
    "a\u{202e}b\u{2066}",
    "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字",
    "e\u{301}e\u{301}e\u{301}",
    "1\u{fe0f}\u{20e3}",
    "👩‍👩‍👧‍👦 family",
    "\u{0}\r\n\t",
    "",
];

/// Data of which each text is hostile, as the feed hands it on.
fn hostile_data(seed: u64) -> Data {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = || {
        let mut text = String::new();
        for _ in 0..random.usize(..4) {
            text += HOSTILE[random.usize(..HOSTILE.len())];
        }
        if random.u8(..) < 8 {
            text = "x".repeat(10_000);
        }
        escape(&text)
    };
    let mut data = fixture::data();
    data.rules.truncate(100);
    data.node = text();
    data.problems = vec![text(), text()];
    data.facts = vec![text()];
    for rule in &mut data.rules {
        let rule = Arc::make_mut(rule);
        rule.name = text();
        rule.details = vec![("isolated by", text()), ("peers", text())];
    }
    for drop in &mut data.drops {
        (drop.interface, drop.help) = (text(), text());
    }
    for nic in &mut data.nics {
        nic.name = text();
    }
    data.packets = (0..30)
        .map(|number| Packet {
            number,
            time: text(),
            interface: text(),
            source: (text(), number as u16),
            destination_name: text(),
            rule: text(),
            ..Packet::default()
        })
        .collect();
    data.talkers.lists = [0, 1, 2].map(|_| {
        let talker = |_| Talker {
            name: text(),
            drops: f64::NAN,
            new: f64::INFINITY,
            flows: Some(u64::MAX),
            ..Talker::default()
        };
        (0..5).map(talker).collect()
    });
    data.blocks = vec![Block {
        prefix: text(),
        left: u64::MAX,
        reason: text(),
    }];
    data.top_flows = Some(
        (0..5)
            .map(|_| Flow {
                protocol: text(),
                source: text(),
                destination: text(),
                state: text(),
                idle: u64::MAX,
                bytes: u64::MAX,
                rule: text(),
                ..Flow::default()
            })
            .collect(),
    );
    data.flows = Flows {
        slots: (u64::MAX, 1),
        live: u64::MAX / 2,
        limit: 0,
        growth: Some(f64::NAN),
        ..Flows::default()
    };
    data.packets_in = History::of([f32::NAN, f32::INFINITY, -1.0, f32::MAX]);
    data
}

fn states() -> Vec<(String, Model)> {
    let with = |data: Data| Model {
        data: Arc::new(data),
        age: Age::Live,
        clock: ("2026-11-27".into(), "03:12:07".into()),
        may_change: true,
        ..Model::default()
    };
    let mut usual = fixture::data();
    usual.rules.truncate(200);
    let mut states = vec![
        ("empty".to_owned(), Model::default()),
        ("usual".to_owned(), with(usual.clone())),
    ];
    let mut stale = with(usual.clone());
    (stale.age, stale.feed_problem) = (Age::Stale(12), Some("the daemon has ended".into()));
    states.push(("stale".to_owned(), stale));
    let mut bare = with(usual);
    Arc::make_mut(&mut bare.data).mode = Mode::Unprotected;
    states.push(("unprotected".to_owned(), bare));
    states.extend((0..6).map(|seed| (format!("hostile {seed}"), with(hostile_data(seed)))));
    states
}

#[test]
fn every_key_in_every_view_leaves_a_screen() {
    for (name, model) in states() {
        for view in View::ALL {
            let mut start = model.clone();
            start.view = view;
            assert_screens(&start, &format!("{name}, {view:?}"));
            for key in TABLE.iter().flat_map(|binding| binding.keys) {
                // Before and after a row is selected.
                let mut model = start.clone();
                on_key(&mut model, *key);
                on_key(&mut model, Key::Down);
                on_key(&mut model, *key);
                let canvas = Canvas {
                    width: 80,
                    height: 24,
                    look: Look::default(),
                    span: model.span,
                };
                assert_eq!(screen(&model, &canvas).len(), 24, "{name}, {view:?}, {key}");
            }
        }
    }
}

#[test]
fn random_keys_never_panic() {
    let keys: Vec<Key> = TABLE
        .iter()
        .flat_map(|binding| binding.keys)
        .copied()
        .collect();
    for (name, model) in states() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut model = model;
        for step in 0..400 {
            let key = match random.u8(..8) {
                0 => Key::Char(char::from(random.u8(32..127))),
                1 => Key::Click(random.usize(..90), random.usize(..30)),
                _ => keys[random.usize(..keys.len())],
            };
            on_key(&mut model, key);
            if step % 40 == 0 {
                assert_screens(&model, &format!("{name}, step {step}"));
            }
        }
    }
}

#[test]
fn selection_stays_and_orders_are_total() {
    let mut model = states().remove(1).1;
    model.view = View::Rules;
    for _ in 0..4 {
        on_key(&mut model, Key::Down);
    }
    let selected = model.list().selected.clone().unwrap();
    for column in 0..orders::RULES.len() {
        let state = &mut model.lists[View::Rules.index()];
        state.sort = column;
        let state = state.clone();
        // Rows that come in another order are shown in the same one.
        let forward = shown_rows(&model.data.rules, &state, &orders::RULES);
        let names: Vec<u32> = forward.iter().map(|rule| rule.id).collect();
        let mut turned = model.data.rules.clone();
        turned.reverse();
        let backward = shown_rows(&turned, &state, &orders::RULES);
        assert!(
            backward.iter().map(|rule| rule.id).eq(names),
            "column {column}"
        );
        assert_eq!(state.selected.as_ref(), Some(&selected));
    }
    // A row that comes above does not move the selection to another.
    let mut data = (*model.data).clone();
    Arc::make_mut(&mut data.rules[0]).packet_rate = Some(1e12);
    model.set_data(data);
    assert_eq!(model.list().selected, Some(selected));
}

#[test]
fn filters_read_as_they_are_written() {
    let mut random = fastrand::Rng::with_seed(11);
    let pieces = [
        "policy:shop/",
        "!",
        "or",
        "hits:>1k",
        "/web-.*/",
        " ",
        "src:10.0.0.0/8",
        "x",
        ":",
        "\u{301}",
        "漢",
        "<",
        "//",
    ];
    let rules = &fixture::data().rules[..3];
    for _ in 0..20_000 {
        let count = random.usize(..6);
        let source: String = (0..count)
            .map(|_| pieces[random.usize(..pieces.len())])
            .collect();
        if let Ok(filter) = Filter::parse(&source) {
            let again = Filter::parse(filter.source()).unwrap();
            assert_eq!(again.source(), filter.source());
            for rule in rules {
                assert_eq!(filter.matches(rule), again.matches(rule), "{source}");
            }
        }
    }
}
