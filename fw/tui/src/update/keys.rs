//! The table of keys. Help, footer and dispatch come from it.

use crate::model::View;
use crate::model::keys::{ChosenKeys, Key};
use crate::update::action::{Action, ChangeKey};

/// Keys with their action and its help.
#[derive(Debug)]
pub struct Binding {
    /// Name of the action in tui.toml.
    pub name: &'static str,
    /// Only in this view; `None`: everywhere.
    pub view: Option<View>,
    /// The keys.
    pub keys: &'static [Key],
    /// The action.
    pub action: Action,
    /// What the action does, in a few words; empty if another line has it.
    pub help: &'static str,
}

const fn everywhere(
    name: &'static str,
    keys: &'static [Key],
    action: Action,
    help: &'static str,
) -> Binding {
    Binding {
        name,
        view: None,
        keys,
        action,
        help,
    }
}

const fn show(name: &'static str, key: &'static [Key], view: View) -> Binding {
    everywhere(name, key, Action::Show(view), "")
}

/// All keys. Those of a view come first.
pub const TABLE: &[Binding] = &[
    Binding {
        name: "overview-blocks",
        view: Some(View::Overview),
        keys: &[Key::Char('b')],
        action: Action::Show(View::Blocks),
        help: "blocks",
    },
    Binding {
        name: "conntrack-talkers",
        view: Some(View::Conntrack),
        keys: &[Key::Char('t')],
        action: Action::Show(View::Talkers),
        help: "top sources",
    },
    Binding {
        name: "talkers-by",
        view: Some(View::Talkers),
        keys: &[Key::Char('v')],
        action: Action::TalkersBy,
        help: "by source, target, port",
    },
    Binding {
        name: "talkers-sort",
        view: Some(View::Talkers),
        keys: &[Key::Char('m')],
        action: Action::Sort,
        help: "sort by the next column",
    },
    everywhere(
        "overview",
        &[Key::Char('1')],
        Action::Show(View::Overview),
        "1-9 0: views",
    ),
    show("rules", &[Key::Char('2')], View::Rules),
    show("flows", &[Key::Char('3')], View::Flows),
    show("conntrack", &[Key::Char('4')], View::Conntrack),
    show("drops", &[Key::Char('5')], View::Drops),
    show("interfaces", &[Key::Char('6')], View::Nics),
    show("talkers", &[Key::Char('7')], View::Talkers),
    show("blocks", &[Key::Char('8')], View::Blocks),
    show("changes", &[Key::Char('9')], View::Changes),
    show("health", &[Key::Char('0')], View::Health),
    everywhere("next-view", &[Key::Tab], Action::Cycle(1), "next view"),
    everywhere(
        "previous-view",
        &[Key::BackTab],
        Action::Cycle(-1),
        "view before",
    ),
    everywhere("view", &[Key::Char(':')], Action::TypeView, "view by name"),
    everywhere(
        "down",
        &[Key::Char('j'), Key::Down],
        Action::Move(1),
        "next row",
    ),
    everywhere(
        "up",
        &[Key::Char('k'), Key::Up],
        Action::Move(-1),
        "row before",
    ),
    everywhere(
        "first",
        &[Key::Char('g'), Key::Home],
        Action::End(false),
        "first row",
    ),
    everywhere(
        "last",
        &[Key::Char('G'), Key::End],
        Action::End(true),
        "last row",
    ),
    everywhere("page-down", &[Key::PageDown], Action::Page(2), "page down"),
    everywhere("page-up", &[Key::PageUp], Action::Page(-2), "page up"),
    everywhere(
        "half-page-down",
        &[Key::Ctrl('d')],
        Action::Page(1),
        "half a page down",
    ),
    everywhere(
        "half-page-up",
        &[Key::Ctrl('u')],
        Action::Page(-1),
        "half a page up",
    ),
    everywhere(
        "next-match",
        &[Key::Char('n')],
        Action::Move(1),
        "next row that the filter shows",
    ),
    everywhere(
        "previous-match",
        &[Key::Char('N')],
        Action::Move(-1),
        "the one before",
    ),
    everywhere(
        "enter",
        &[Key::Enter],
        Action::Enter,
        "more about the selected row",
    ),
    everywhere(
        "back",
        &[Key::Esc],
        Action::Back,
        "back; clears the filter; never quits",
    ),
    everywhere(
        "details",
        &[Key::Char('d')],
        Action::Details,
        "details on or off",
    ),
    everywhere(
        "filter",
        &[Key::Char('/')],
        Action::TypeFilter,
        "filter: rule: src: reason: hits:>1k ! or /expression/",
    ),
    everywhere(
        "sort",
        &[Key::Char('s')],
        Action::Sort,
        "sort by the next column",
    ),
    everywhere(
        "reverse",
        &[Key::Char('S')],
        Action::Reverse,
        "reverse the order",
    ),
    everywhere(
        "freeze",
        &[Key::Char(' ')],
        Action::Freeze,
        "freeze; data continue",
    ),
    everywhere("why", &[Key::Char('f')], Action::Why, "explain the alert"),
    everywhere("redraw", &[Key::Ctrl('l')], Action::Redraw, "redraw"),
    everywhere("help", &[Key::Char('?')], Action::Help, "this help"),
    everywhere(
        "block",
        &[Key::Char('B')],
        Action::Change(ChangeKey::Block),
        "block the selected source for an hour (--rw)",
    ),
    everywhere(
        "end-flows",
        &[Key::Char('x')],
        Action::Change(ChangeKey::EndFlows),
        "end the selected flow (--rw)",
    ),
    everywhere(
        "missing",
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
        "zero",
        &[Key::Char('z')],
        Action::Zero,
        "counters since now, only here; again: all",
    ),
    everywhere(
        "ages",
        &[Key::Char('t')],
        Action::Ages,
        "times of the day, or how long ago",
    ),
    everywhere(
        "longer",
        &[Key::Char('+')],
        Action::Span(true),
        "sparklines of 5 min, 30 min",
    ),
    everywhere(
        "shorter",
        &[Key::Char('-')],
        Action::Span(false),
        "of 60 s again",
    ),
    everywhere(
        "columns",
        &[Key::Char('o')],
        Action::Columns,
        "which columns: the next choice",
    ),
    everywhere(
        "explain",
        &[Key::Char('e')],
        Action::Explain,
        "ask the daemon about the selected packet, flow or source",
    ),
    everywhere(
        "save",
        &[Key::Char('w')],
        Action::Save,
        "write the view to files, as JSON and as text",
    ),
    everywhere(
        "mouse",
        &[Key::Char('m')],
        Action::Mouse,
        "mouse on or off: off, so that text can be copied",
    ),
    everywhere("suspend", &[Key::Ctrl('z')], Action::Suspend, "suspend"),
    everywhere(
        "quit",
        &[Key::Char('q'), Key::Ctrl('c')],
        Action::Quit,
        "quit",
    ),
    everywhere(
        "leave",
        &[Key::Char('Q')],
        Action::Leave,
        "quit, and leave the screen in the terminal",
    ),
];

/// The keys of a line of the table.
pub fn keys_of<'a>(binding: &'a Binding, chosen: &'a ChosenKeys) -> &'a [Key] {
    chosen.get(binding.name).map_or(binding.keys, Vec::as_slice)
}

/// The action of a key in a view.
pub(crate) fn action(chosen: &ChosenKeys, view: View, key: Key) -> Option<Action> {
    let mut of_key = TABLE
        .iter()
        .filter(|binding| keys_of(binding, chosen).contains(&key));
    let own = of_key.clone().find(|binding| binding.view == Some(view));
    let found = own.or_else(|| of_key.find(|binding| binding.view.is_none()));
    found.map(|binding| binding.action)
}

/// A key with two actions in one place, and both names. A key of a view may replace one that works everywhere, as
/// the table has it, but not one that the operator has chosen.
pub(crate) fn bound_twice(chosen: &ChosenKeys) -> Option<(Key, [&'static str; 2], Option<View>)> {
    let is_chosen = |binding: &Binding| chosen.contains_key(binding.name);
    for (at, one) in TABLE.iter().enumerate() {
        for other in &TABLE[at + 1..] {
            let is_same = one.view == other.view;
            let is_inside = (one.view.is_none() || other.view.is_none())
                && (is_chosen(one) || is_chosen(other));
            let others = keys_of(other, chosen);
            let shared = keys_of(one, chosen).iter().find(|key| others.contains(key));
            if let Some(key) = shared.filter(|_| is_same || is_inside) {
                return Some((*key, [one.name, other.name], one.view.or(other.view)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice() {
        assert_eq!(bound_twice(&ChosenKeys::new()), None);
        let names: std::collections::BTreeSet<&str> =
            TABLE.iter().map(|binding| binding.name).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn keys_have_the_names_that_help_shows() {
        for key in TABLE.iter().flat_map(|binding| binding.keys) {
            assert_eq!(Key::named(&key.to_string()), Some(*key), "{key}");
        }
        assert_eq!(Key::named("C-"), None);
        assert_eq!(Key::named("click"), None);
    }
}
