//! The table of keys. Help, footer and dispatch come from it.

use std::fmt;

use crate::model::View;
use crate::update::{Action, ChangeKey};

/// A key, as terminals send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab, and with Shift.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
    /// A click into a cell: column, line.
    Click(usize, usize),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.write_str("space"),
            Self::Char(c) => f.write_str(&crate::text::escape(&c.to_string())),
            Self::Ctrl(c) => write!(f, "C-{c}"),
            Self::Enter => f.write_str("enter"),
            Self::Esc => f.write_str("esc"),
            Self::Tab => f.write_str("tab"),
            Self::BackTab => f.write_str("S-tab"),
            Self::Backspace => f.write_str("backspace"),
            Self::Up => f.write_str("up"),
            Self::Down => f.write_str("down"),
            Self::PageUp => f.write_str("PgUp"),
            Self::PageDown => f.write_str("PgDn"),
            Self::Home => f.write_str("home"),
            Self::End => f.write_str("end"),
            Self::Click(..) => f.write_str("click"),
        }
    }
}

/// Keys with their action and its help.
#[derive(Debug)]
pub struct Binding {
    /// Only in this view; `None`: everywhere.
    pub view: Option<View>,
    /// The keys.
    pub keys: &'static [Key],
    /// The action.
    pub action: Action,
    /// What the action does, in a few words; empty if another line has it.
    pub help: &'static str,
}

const fn everywhere(keys: &'static [Key], action: Action, help: &'static str) -> Binding {
    Binding {
        view: None,
        keys,
        action,
        help,
    }
}

const fn show(key: &'static [Key], view: View) -> Binding {
    everywhere(key, Action::Show(view), "")
}

/// All keys. Those of a view come first.
pub const TABLE: &[Binding] = &[
    Binding {
        view: Some(View::Overview),
        keys: &[Key::Char('b')],
        action: Action::Show(View::Blocks),
        help: "blocks",
    },
    Binding {
        view: Some(View::Conntrack),
        keys: &[Key::Char('t')],
        action: Action::Show(View::Talkers),
        help: "top sources",
    },
    Binding {
        view: Some(View::Talkers),
        keys: &[Key::Char('v')],
        action: Action::TalkersBy,
        help: "by source, target, port",
    },
    Binding {
        view: Some(View::Talkers),
        keys: &[Key::Char('m')],
        action: Action::Sort,
        help: "sort by the next column",
    },
    everywhere(
        &[Key::Char('1')],
        Action::Show(View::Overview),
        "1-9 0: views",
    ),
    show(&[Key::Char('2')], View::Rules),
    show(&[Key::Char('3')], View::Flows),
    show(&[Key::Char('4')], View::Conntrack),
    show(&[Key::Char('5')], View::Drops),
    show(&[Key::Char('6')], View::Nics),
    show(&[Key::Char('7')], View::Talkers),
    show(&[Key::Char('8')], View::Blocks),
    show(&[Key::Char('9')], View::Changes),
    show(&[Key::Char('0')], View::Health),
    everywhere(&[Key::Tab], Action::Cycle(1), "next view"),
    everywhere(&[Key::BackTab], Action::Cycle(-1), "view before"),
    everywhere(&[Key::Char(':')], Action::TypeView, "view by name"),
    everywhere(&[Key::Char('j'), Key::Down], Action::Move(1), "next row"),
    everywhere(&[Key::Char('k'), Key::Up], Action::Move(-1), "row before"),
    everywhere(
        &[Key::Char('g'), Key::Home],
        Action::End(false),
        "first row",
    ),
    everywhere(&[Key::Char('G'), Key::End], Action::End(true), "last row"),
    everywhere(&[Key::PageDown], Action::Page(2), "page down"),
    everywhere(&[Key::PageUp], Action::Page(-2), "page up"),
    everywhere(&[Key::Ctrl('d')], Action::Page(1), "half a page down"),
    everywhere(&[Key::Ctrl('u')], Action::Page(-1), "half a page up"),
    everywhere(
        &[Key::Char('n')],
        Action::Move(1),
        "next row that the filter shows",
    ),
    everywhere(&[Key::Char('N')], Action::Move(-1), "the one before"),
    everywhere(&[Key::Enter], Action::Enter, "more about the selected row"),
    everywhere(
        &[Key::Esc],
        Action::Back,
        "back; clears the filter; never quits",
    ),
    everywhere(&[Key::Char('d')], Action::Details, "details on or off"),
    everywhere(
        &[Key::Char('/')],
        Action::TypeFilter,
        "filter: rule: src: reason: hits:>1k ! or /expression/",
    ),
    everywhere(&[Key::Char('s')], Action::Sort, "sort by the next column"),
    everywhere(&[Key::Char('S')], Action::Reverse, "reverse the order"),
    everywhere(&[Key::Char(' ')], Action::Freeze, "freeze; data continue"),
    everywhere(&[Key::Char('f')], Action::Why, "explain the alert"),
    everywhere(&[Key::Ctrl('l')], Action::Redraw, "redraw"),
    everywhere(&[Key::Char('?')], Action::Help, "this help"),
    everywhere(
        &[Key::Char('B')],
        Action::Change(ChangeKey::Block),
        "block the selected source for an hour (--rw)",
    ),
    everywhere(
        &[Key::Char('x')],
        Action::Change(ChangeKey::EndFlows),
        "end the selected flow (--rw)",
    ),
    everywhere(
        &[
            Key::Char('K'),
            Key::Char('c'),
            Key::Char('R'),
            Key::Char('P'),
        ],
        Action::Missing,
        "quarantine, confirm, roll back, panic: not in this daemon",
    ),
    everywhere(
        &[Key::Char('z')],
        Action::Zero,
        "counters since now, only here; again: all",
    ),
    everywhere(
        &[Key::Char('t')],
        Action::Ages,
        "times of the day, or how long ago",
    ),
    everywhere(
        &[Key::Char('+')],
        Action::Span(true),
        "sparklines of 5 min, 30 min",
    ),
    everywhere(&[Key::Char('-')], Action::Span(false), "of 60 s again"),
    everywhere(
        &[Key::Char('o')],
        Action::Columns,
        "which columns: the next choice",
    ),
    everywhere(
        &[Key::Char('e')],
        Action::Explain,
        "ask the daemon about the selected packet, flow or source",
    ),
    everywhere(
        &[Key::Char('w')],
        Action::Save,
        "write the view to files, as JSON and as text",
    ),
    everywhere(
        &[Key::Char('m')],
        Action::Mouse,
        "mouse on or off: off, so that text can be copied",
    ),
    everywhere(&[Key::Ctrl('z')], Action::Suspend, "suspend"),
    everywhere(&[Key::Char('q'), Key::Ctrl('c')], Action::Quit, "quit"),
    everywhere(
        &[Key::Char('Q')],
        Action::Leave,
        "quit, and leave the screen in the terminal",
    ),
];

/// The action of a key in a view.
pub(super) fn action(view: View, key: Key) -> Option<Action> {
    let of_key = || TABLE.iter().filter(|binding| binding.keys.contains(&key));
    let own = of_key().find(|binding| binding.view == Some(view));
    let found = own.or_else(|| of_key().find(|binding| binding.view.is_none()));
    found.map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice() {
        for (at, binding) in TABLE.iter().enumerate() {
            for key in binding.keys {
                let others = TABLE[at + 1..]
                    .iter()
                    .filter(|other| other.view == binding.view);
                let mut twice = others.filter(|other| other.keys.contains(key));
                assert!(twice.next().is_none(), "{key} in {:?}", binding.view);
            }
        }
    }
}
