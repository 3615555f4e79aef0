//! Comments and pages use the field's terms (docs/glossary.md). Only phrases that have no other
//! meaning in this project are listed; a reader has to find the rest.

use bailey_architecture::{files, prose};

/// Phrases and the terms to use instead.
const PHRASES: [(&str, &str); 38] = [
    ("judge", "evaluate"),
    ("judged", "evaluated"),
    ("judges", "evaluates"),
    ("judgement", "evaluation"),
    ("rejudged", "revalidated"),
    ("short way", "fast path"),
    ("long way", "slow path"),
    ("opens a flow", "creates a flow"),
    ("open a flow", "create a flow"),
    ("opens no flow", "creates no flow"),
    ("makes way", "is evicted"),
    ("make way", "are evicted"),
    ("made way", "was evicted"),
    ("taken up", "picked up midstream"),
    ("believed", "in window"),
    ("joined frame", "GSO/GRO frame"),
    ("joined frames", "GSO/GRO frames"),
    ("tags are stripped", "VLAN RX offload strips tags"),
    ("says so", "reports, logs, returns"),
    ("say so", "report, log, return"),
    ("is told", "reports, logs, returns"),
    ("are told", "report, log, return"),
    ("was told", "reported, logged, returned"),
    ("way out", "egress interface, detach"),
    ("get me out", "detach"),
    ("forged", "spoofed"),
    ("idle time is scaled", "timeout is scaled"),
    ("in the common style", "LRU-hash/LPM baseline"),
    ("part of a tick", "fraction of a tick"),
    ("in force", "active"),
    ("whoever", "the caller"),
    ("whomever", "the caller"),
    ("nobody", "no host, no process"),
    ("nobody's", "no host's, no process's"),
    ("somebody", "a host, a process"),
    ("somebody's", "a host's, a process's"),
    ("anybody", "any host, any process"),
    ("taken off", "detached, removed"),
];

/// Whether a line contains a phrase as whole words.
fn contains(line: &str, phrase: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
    line.match_indices(phrase).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + phrase.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[test]
fn prose_uses_the_terms_of_the_field() {
    let mut found = Vec::new();
    for path in files::sources().into_iter().chain(files::pages()) {
        for (number, line) in prose::lines(&path, &files::text(&path)) {
            let line = line.to_lowercase();
            for (phrase, term) in PHRASES {
                if contains(&line, phrase) {
                    let path = files::relative(&path);
                    found.push(format!("{path}:{number}: \"{phrase}\": use {term}"));
                }
            }
        }
    }
    let count = found.len();
    assert!(found.is_empty(), "{count} phrases:\n{}", found.join("\n"));
}

#[test]
fn phrases_match_whole_words_only() {
    assert!(contains("the flow makes way.", "makes way"));
    assert!(contains("believed", "believed"));
    assert!(!contains("disbelieved", "believed"));
    assert!(!contains("forged_frames", "forged"));
}
