//! Changes to a text that make it acceptable to the YAML parser, without changing its meaning or
//! the reported positions.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::Marker;

use crate::parse::node::Pos;

/// The changes that make a text acceptable to the parser.
#[derive(Default)]
pub(super) struct TextRepair {
    /// Lines to indent.
    lines: BTreeSet<u32>,
    /// By line, columns (from 1) at which a run of blanks ends; tabs in that run become spaces.
    tabs: BTreeMap<u32, Vec<u32>>,
}

impl TextRepair {
    /// Added indentation in spaces; more than any key has.
    const INDENT: usize = 512;
    /// Most repairs, because each repair parses the whole text again.
    const MAX_REPAIRS: usize = 1000;
    /// Largest text that is repaired.
    const MAX_TEXT_BYTES: usize = 1 << 20;

    /// Indents a line. Returns false if the line is indented already or the limits are reached.
    pub(super) fn add_line(&mut self, text: &str, line: u32) -> bool {
        self.has_room(text) && self.lines.insert(line)
    }

    /// Replaces the tabs directly before a position. Returns false if they are replaced already or
    /// the limits are reached.
    pub(super) fn add_tabs_before(&mut self, text: &str, end: Pos) -> bool {
        let ends = self.tabs.get(&end.line);
        let known = ends.is_some_and(|ends| ends.contains(&end.column));
        if known || !self.has_room(text) {
            return false;
        }
        self.tabs.entry(end.line).or_default().push(end.column);
        true
    }

    fn has_room(&self, text: &str) -> bool {
        self.lines.len() + self.tabs.len() < Self::MAX_REPAIRS && text.len() <= Self::MAX_TEXT_BYTES
    }

    /// The repaired text; `None` if there is nothing to repair.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        if self.lines.is_empty() && self.tabs.is_empty() {
            return None;
        }
        let mut padded = String::with_capacity(text.len() + self.lines.len() * Self::INDENT);
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            if self.lines.contains(&number) {
                padded.extend(std::iter::repeat_n(' ', Self::INDENT));
            }
            match self.tabs.get(&number) {
                Some(ends) => padded.push_str(&replace_tabs(line, ends)),
                None => padded.push_str(line),
            }
        }
        Some(padded)
    }

    /// Translates a position of the parser into a position in the original text.
    pub(super) fn original_pos(&self, marker: &Marker) -> Pos {
        let line = marker.line() as u32;
        let by = if self.lines.contains(&line) {
            Self::INDENT
        } else {
            0
        };
        Pos {
            line,
            column: marker.col().saturating_sub(by) as u32 + 1,
        }
    }
}

/// Replaces tabs by spaces in the runs of blanks that end before these columns, counted from 1.
fn replace_tabs(line: &str, ends: &[u32]) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    for &end in ends {
        let before = (end as usize).saturating_sub(1).min(chars.len());
        for c in chars[..before].iter_mut().rev() {
            match c {
                '\t' => *c = ' ',
                ' ' => {}
                _ => break,
            }
        }
    }
    chars.into_iter().collect()
}
