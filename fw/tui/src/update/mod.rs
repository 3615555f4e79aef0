//! Keys to actions, and actions to the next model. Pure.

use std::sync::Arc;

use crate::filter::Filter;
use crate::model::{Input, Keyed, Model, View, orders, shown_rows};

/// The table of keys.
mod keys;

pub use keys::{Binding, Key, TABLE};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Shows a view.
    Show(View),
    /// Shows the next view, or the one before.
    Cycle(isize),
    /// Types the name of a view.
    TypeView,
    /// Types a filter.
    TypeFilter,
    /// Moves the selection by so many rows.
    Move(isize),
    /// Moves by half or whole pages, in halves.
    Page(isize),
    /// Moves to the first or the last row.
    End(bool),
    /// From a pane or a row into its view.
    Enter,
    /// Closes what is open, or clears the filter; never quits.
    Back,
    /// Shows or hides details.
    Details,
    /// Sorts by the next column.
    Sort,
    /// Reverses the order.
    Reverse,
    /// Holds the screen still.
    Freeze,
    /// The next list of talkers.
    TalkersBy,
    /// Shows or hides the help.
    Help,
    /// Draws everything again.
    Redraw,
    /// Ends.
    Quit,
    /// Changes the firewall, which this console does not.
    Write,
    /// Explains the alert.
    Why,
    /// Of a later version.
    Later,
}

/// Views with a filter.
const HAVE_FILTER: [View; 6] = [
    View::Rules,
    View::Flows,
    View::Drops,
    View::Nics,
    View::Talkers,
    View::Blocks,
];

/// Applies a key.
pub fn on_key(model: &mut Model, key: Key) {
    if key == Key::Ctrl('c') {
        model.is_done = true;
        return;
    }
    if model.input.is_some() {
        type_key(model, key);
        return;
    }
    model.message = None;
    match keys::action(model.view, key) {
        Some(action) => apply(model, action),
        None => model.message = Some(format!("{key} does nothing here; ? shows the keys")),
    }
}

fn apply(model: &mut Model, action: Action) {
    match action {
        Action::Show(view) => show(model, view),
        Action::Cycle(by) => {
            let all = View::ALL.len() as isize;
            let next = (model.view.index() as isize + by).rem_euclid(all);
            show(model, View::ALL[next as usize]);
        }
        Action::TypeView => model.input = Some(Input::View(String::new())),
        Action::TypeFilter if !HAVE_FILTER.contains(&model.view) => {
            model.message =
                Some("this view has no filter; 2 Rules, 3 Flows and 5 Drops have one".to_owned());
        }
        Action::TypeFilter => {
            model.input = Some(Input::Filter(model.list().filter.source().to_owned()));
        }
        Action::Move(by) => select(model, |at, rows| at.saturating_add_signed(by).min(rows - 1)),
        Action::Page(halves) => {
            let by = halves * model.page as isize / 2;
            select(model, |at, rows| at.saturating_add_signed(by).min(rows - 1));
        }
        Action::End(is_last) => select(model, |_, rows| if is_last { rows - 1 } else { 0 }),
        Action::Enter => enter(model),
        Action::Back => back(model),
        Action::Details => model.has_details = !model.has_details,
        Action::Sort => {
            let columns = orders::names(model.view);
            let list = model.list_mut();
            list.sort = if columns.is_empty() {
                0
            } else {
                (list.sort + 1) % columns.len()
            };
            list.is_reversed = false;
            model.message = columns
                .get(model.list().sort)
                .map(|column| format!("sorted by {column}"));
        }
        Action::Reverse => {
            let list = model.list_mut();
            list.is_reversed = !list.is_reversed;
        }
        Action::Freeze => {
            model.frozen = match model.frozen {
                Some(_) => None,
                None => Some((Arc::clone(&model.data), 0)),
            };
        }
        Action::TalkersBy => model.talkers_by = (model.talkers_by + 1) % 3,
        Action::Help => model.has_help = !model.has_help,
        Action::Redraw => {}
        Action::Quit => model.is_done = true,
        Action::Write => {
            model.message = Some(
                "this console only reads; use `bailey block`, `bailey conntrack delete` as root"
                    .to_owned(),
            );
        }
        Action::Why => show(model, View::Health),
        Action::Later => model.message = Some("this key is not part of this version".to_owned()),
    }
}

fn show(model: &mut Model, view: View) {
    model.view = view;
    model.has_help = false;
}

/// Into the view that has more about the selected row.
fn enter(model: &mut Model) {
    match model.view {
        View::Overview => show(model, View::Rules),
        View::Rules => {
            let selected = selected_rule(model);
            let denies = selected
                .as_ref()
                .is_some_and(|(_, allows)| *allows == Some(false));
            let view = if denies { View::Flows } else { View::Conntrack };
            show(model, view);
            if let Some((name, _)) = selected.filter(|_| denies) {
                set_filter(model, &expression(&name));
            }
        }
        View::Drops => {
            let key = selected_key(model);
            let mut drops = model.shown().drops.iter();
            let reason = drops
                .find(|drop| Some(drop.key()) == key)
                .map(|drop| drop.reason.clone());
            show(model, View::Flows);
            if let Some(reason) = reason {
                set_filter(model, &format!("reason:{reason}"));
            }
        }
        View::Nics => show(model, View::Drops),
        View::Talkers | View::Blocks => {
            let key = selected_key(model);
            let field = match (model.view, model.talkers_by) {
                (View::Talkers, 1) => "dst",
                (View::Talkers, 2) => "port",
                _ => "src",
            };
            show(model, View::Flows);
            if let Some(key) = key {
                set_filter(model, &filter_of(field, &key));
            }
        }
        View::Flows | View::Conntrack | View::Changes | View::Health => {
            model.message = Some("there is nothing behind this row".to_owned());
        }
    }
}

/// Key of the selected row, or of the first one.
fn selected_key(model: &Model) -> Option<String> {
    let keys = orders::keys_of_rows(model);
    let selected = model.list().selected.as_ref();
    let known = keys.iter().find(|key| Some(*key) == selected);
    known.or_else(|| keys.first()).cloned()
}

/// A filter that matches a text as it is.
fn expression(text: &str) -> String {
    format!("/{}/", regex_lite::escape(text).replace('/', "\\x2f"))
}

/// A filter for an address, a prefix, or a port with its protocol.
fn filter_of(field: &str, key: &str) -> String {
    match (field, key.split_once('/')) {
        ("port", Some((port, protocol))) => format!("port:{port} proto:{protocol}"),
        ("port", None) => format!("port:{key}"),
        (_, Some(_)) => format!("{field}:{key}"),
        (_, None) => format!("{field}:{key}/{}", if key.contains(':') { 128 } else { 32 }),
    }
}

fn set_filter(model: &mut Model, source: &str) {
    if let Ok(filter) = Filter::parse(source) {
        model.list_mut().filter = filter;
    }
}

fn selected_rule(model: &Model) -> Option<(String, Option<bool>)> {
    let data = model.shown();
    let list = model.list();
    let rows = shown_rows(&data.rules, list, &orders::RULES);
    let key = list.selected.as_ref();
    let row = rows
        .iter()
        .find(|row| Some(&row.key()) == key)
        .or_else(|| rows.first())?;
    Some((row.name.clone(), row.allows))
}

fn back(model: &mut Model) {
    if model.has_help {
        model.has_help = false;
    } else if !model.list().filter.source().is_empty() {
        model.list_mut().filter = Filter::default();
    } else if model.list().selected.is_some() {
        model.list_mut().selected = None;
    } else if model.frozen.is_some() {
        model.frozen = None;
    } else if model.view != View::Overview {
        model.view = View::Overview;
    }
}

/// Selects another row of the view's list.
fn select(model: &mut Model, next: impl Fn(usize, usize) -> usize) {
    let keys = orders::keys_of_rows(model);
    if keys.is_empty() {
        // Without rows to select, the view scrolls.
        let rows = model.shown().packets.len().max(1);
        let list = model.list_mut();
        list.offset = next(list.offset, rows);
        return;
    }
    let list = model.list();
    let at = list
        .selected
        .as_ref()
        .and_then(|key| keys.iter().position(|known| known == key));
    let at = match at {
        Some(at) => next(at, keys.len()),
        // The first key selects the first visible row; a jump to an end its row.
        None => next(list.offset.min(keys.len() - 1), keys.len()).min(keys.len() - 1),
    };
    let page = model.page.max(1);
    let list = model.list_mut();
    list.selected = Some(keys[at].clone());
    list.offset = list.offset.min(at).max((at + 1).saturating_sub(page));
}

/// A key while a line is typed.
fn type_key(model: &mut Model, key: Key) {
    let Some(input) = model.input.take() else {
        return;
    };
    let (mut text, is_filter) = match input {
        Input::Filter(text) => (text, true),
        Input::View(text) => (text, false),
    };
    match key {
        Key::Esc => {
            model.message = None;
            return;
        }
        Key::Enter if is_filter => match Filter::parse(&text) {
            Ok(filter) => {
                let list = model.list_mut();
                list.filter = filter;
                list.offset = 0;
                model.message = None;
                return;
            }
            Err(error) => model.message = Some(error),
        },
        Key::Enter => {
            match View::named(&text) {
                Some(view) => show(model, view),
                None => model.message = Some(format!("no view is named {text}")),
            }
            return;
        }
        Key::Backspace => {
            text.pop();
        }
        Key::Char(c) if !c.is_control() => text.push(c),
        _ => {}
    }
    if is_filter && key != Key::Enter {
        // The last good filter stays while the line has a mistake.
        match Filter::parse(&text) {
            Ok(filter) => {
                model.list_mut().filter = filter;
                model.message = None;
            }
            Err(error) => model.message = Some(error),
        }
    }
    model.input = Some(match is_filter {
        true => Input::Filter(text),
        false => Input::View(text),
    });
}
