//! Keys to actions, and actions to the next model. Pure.

use std::sync::Arc;

use crate::data::Zero;
use crate::filter::Filter;
use crate::model::{Input, Keyed, Model, Request, View, orders, shown_rows};

/// Actions of keys.
mod action;
/// Keys that change the firewall.
mod changes;
/// The table of keys.
mod keys;
/// Questions to the daemon.
mod question;
/// View and selected row.
mod selection;

pub use crate::model::keys::Key;
pub use action::{Action, ChangeKey};
use changes::{begin_change, type_confirmation};
#[cfg(test)]
pub(crate) use keys::action as action_of_key;
pub(crate) use keys::bound_twice;
pub use keys::{Binding, TABLE, keys_of};
use question::explain;
use selection::{click, select, selected_key, selected_row, show};

/// Views with a filter.
const HAVE_FILTER: [View; 7] = [
    View::Rules,
    View::Flows,
    View::Conntrack,
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
    if let Key::Click(column, line) = key {
        click(model, column, line);
        return;
    }
    match keys::action(&model.keys, model.view, key) {
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
        Action::Help => {
            model.has_help = !model.has_help;
            model.help_offset = 0;
        }
        Action::Why => show(model, View::Health),
        other => apply_request(model, other),
    }
}

/// Actions that concern the whole console, or the process around it.
fn apply_request(model: &mut Model, action: Action) {
    match action {
        Action::Redraw => model.request = Some(Request::Redraw),
        Action::Zero => zero(model),
        Action::Ages => model.has_ages = !model.has_ages,
        Action::Span(is_longer) => {
            model.span = model.span.next(is_longer);
            model.message = Some(format!("sparklines show {}", model.span.name()));
        }
        Action::Columns => {
            let list = model.list_mut();
            list.columns = (list.columns + 1) % orders::COLUMN_CHOICES;
            model.message = Some(orders::column_choice(model.view, model.list().columns));
        }
        Action::Explain => explain(model),
        Action::Save => model.request = Some(Request::Save),
        Action::Mouse => {
            model.has_mouse = !model.has_mouse;
            model.message = Some(match model.has_mouse {
                true => "the mouse selects; m gives it back to the terminal".to_owned(),
                false => "the mouse belongs to the terminal".to_owned(),
            });
        }
        Action::Suspend => model.request = Some(Request::Suspend),
        Action::Quit => model.is_done = true,
        Action::Leave => {
            model.is_done = true;
            model.leaves_screen = true;
        }
        Action::Change(_) if !model.may_change => {
            model.message = Some(
                "this console only reads; `bailey tui --rw` as root blocks sources and ends flows"
                    .to_owned(),
            );
        }
        Action::Change(key) => begin_change(model, key),
        Action::Missing => {
            model.message = Some(
                "this daemon has no confirmations, rollbacks, quarantine or panic mode".to_owned(),
            );
        }
        // The caller has done all others.
        _ => {}
    }
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
        View::Conntrack => {
            let flow = selected_row(model.shown().top_flows.as_deref(), model);
            let rule = flow.map(|flow| flow.rule.clone());
            show(model, View::Rules);
            if let Some(rule) = rule.filter(|rule| !rule.is_empty()) {
                set_filter(model, &expression(&rule));
            }
        }
        View::Flows => explain(model),
        View::Changes | View::Health => {
            model.message = Some("there is nothing behind this row".to_owned());
        }
    }
}

/// Counters since now; or since they exist, if they begin later already.
fn zero(model: &mut Model) {
    model.zero = match model.zero {
        Some(_) => None,
        None => Some(Zero::at(&model.data, &model.clock.1)),
    };
    model.message = Some(match &model.zero {
        Some(zero) => format!("counters since {}Z, only here; z again: all", zero.time),
        None => "all counters".to_owned(),
    });
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
    } else if model.answer.is_some() {
        model.answer = None;
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

/// A key while a line is typed.
fn type_key(model: &mut Model, key: Key) {
    let Some(input) = model.input.take() else {
        return;
    };
    let (mut text, is_filter) = match input {
        Input::Filter(text) => (text, true),
        Input::View(text) => (text, false),
        Input::Confirm(change, effect, typed) => {
            type_confirmation(model, change, effect, typed, key);
            return;
        }
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
