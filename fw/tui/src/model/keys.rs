//! Keys, and those that the operator has chosen.

use std::collections::BTreeMap;
use std::fmt;

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

impl Key {
    /// The key with this name: a character, `C-x`, or the name of a key.
    pub fn named(name: &str) -> Option<Self> {
        let mut chars = name.chars();
        if let (Some(only), None) = (chars.next(), chars.next()) {
            return (!only.is_control()).then_some(Self::Char(only));
        }
        if let Some(rest) = name.strip_prefix("C-") {
            let mut chars = rest.chars();
            return match (chars.next(), chars.next()) {
                (Some(c @ 'a'..='z'), None) => Some(Self::Ctrl(c)),
                _ => None,
            };
        }
        let named = [
            Self::Char(' '),
            Self::Enter,
            Self::Esc,
            Self::Tab,
            Self::BackTab,
            Self::Backspace,
            Self::Up,
            Self::Down,
            Self::PageUp,
            Self::PageDown,
            Self::Home,
            Self::End,
        ];
        named.into_iter().find(|key| key.to_string() == name)
    }
}

/// Keys of actions that the operator has chosen, by the name of the action.
pub type ChosenKeys = BTreeMap<&'static str, Vec<Key>>;
