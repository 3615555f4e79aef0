//! Keys to actions, and actions to the next model. Pure.

use std::net::IpAddr;
use std::sync::Arc;

use crate::change::Change;
use crate::data::Zero;
use crate::filter::Filter;
use crate::model::{Input, Keyed, Model, Question, Request, View, orders, shown_rows};

/// The table of keys.
mod keys;

pub use crate::model::keys::Key;
pub use keys::{Binding, TABLE, keys_of};
pub(crate) use keys::{action, bound_twice};

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
    /// Counters since now, or all.
    Zero,
    /// Times of the day, or ages.
    Ages,
    /// Sparklines of a longer or shorter time.
    Span(bool),
    /// The next choice of columns.
    Columns,
    /// Asks the daemon about the selected row.
    Explain,
    /// Writes the view to files.
    Save,
    /// The mouse.
    Mouse,
    /// Gives the terminal back for a while.
    Suspend,
    /// Ends.
    Quit,
    /// Ends, and leaves the screen in the terminal.
    Leave,
    /// Changes the firewall, with `--rw`.
    Change(ChangeKey),
    /// Changes that the daemon does not know.
    Missing,
    /// Explains the alert.
    Why,
}

/// Keys that change the firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKey {
    /// Blocks the selected source.
    Block,
    /// Ends the selected flow.
    EndFlows,
}

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
    match action(&model.keys, model.view, key) {
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
        Action::Why => show(model, View::Health),
    }
}

fn show(model: &mut Model, view: View) {
    model.view = view;
    model.has_help = false;
    model.answer = None;
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

/// Key of the selected row, or of the first one.
fn selected_key(model: &Model) -> Option<String> {
    let keys = orders::keys_of_rows(model);
    let selected = model.list().selected.as_ref();
    let known = keys.iter().find(|key| Some(*key) == selected);
    known.or_else(|| keys.first()).cloned()
}

/// The selected row of a list, or the first one.
fn selected_row<'a, T: Keyed>(rows: Option<&'a [T]>, model: &Model) -> Option<&'a T> {
    let key = selected_key(model)?;
    rows?.iter().find(|row| row.key() == key)
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

/// Asks about the selected packet, flow, source or block.
fn explain(model: &mut Model) {
    let data = model.shown();
    let parsed = |text: &str| text.parse().ok();
    let question = match model.view {
        View::Flows | View::Rules | View::Drops => {
            let packet = match model.view {
                View::Flows => selected_row(Some(&data.packets), model),
                View::Drops => {
                    let drop = selected_row(Some(&data.drops), model);
                    data.packets.iter().find(|packet| {
                        drop.is_some_and(|drop| !packet.passes && packet.reason == drop.reason)
                    })
                }
                _ => {
                    let rule = selected_row(Some(&data.rules), model);
                    let is_of = |id: u32| rule.is_some_and(|rule| rule.id == id);
                    let mut packets = data.packets.iter();
                    packets.find(|packet| packet.rules.iter().any(|id| is_of(*id)))
                }
            };
            packet.and_then(|packet| {
                Some(Question::Connection(
                    parsed(&packet.source.0)?,
                    parsed(&packet.destination.0)?,
                    packet.protocol.clone(),
                    packet.destination.1,
                ))
            })
        }
        View::Conntrack => selected_row(data.top_flows.as_deref(), model).and_then(|flow| {
            let (source, destination, port) = &flow.ends;
            Some(Question::Connection(
                parsed(source)?,
                parsed(destination)?,
                flow.protocol.clone(),
                *port,
            ))
        }),
        View::Talkers | View::Blocks => selected_key(model)
            .and_then(|key| parsed(key.split('/').next().unwrap_or_default()))
            .map(Question::Source),
        _ => None,
    };
    match question {
        Some(question) => model.request = Some(Request::Explain(question)),
        None => {
            model.message = Some(
                "select a packet, a flow or a source: 3 Flows, 4 Conntrack, 7 Talkers".to_owned(),
            );
        }
    }
}

/// Asks for the beginning of the object before a change.
fn begin_change(model: &mut Model, key: ChangeKey) {
    let data = model.shown();
    let flow = || match model.view {
        View::Conntrack => selected_row(data.top_flows.as_deref(), model),
        _ => None,
    };
    let source: Option<IpAddr> = match model.view {
        View::Conntrack => flow().and_then(|flow| flow.ends.0.parse().ok()),
        View::Flows => {
            let packet = selected_row(Some(&data.packets), model);
            packet.and_then(|packet| packet.source.0.parse().ok())
        }
        View::Talkers if model.talkers_by == 0 => {
            selected_key(model).and_then(|key| key.parse().ok())
        }
        View::Drops => {
            let drop = selected_row(Some(&data.drops), model);
            let mut packets = data.packets.iter();
            let last = packets.find(|packet| {
                drop.is_some_and(|drop| !packet.passes && packet.reason == drop.reason)
            });
            last.and_then(|packet| packet.source.0.parse().ok())
        }
        _ => None,
    };
    let change = match key {
        ChangeKey::Block => source.map(Change::Block),
        ChangeKey::EndFlows => source.zip(flow()).and_then(|(source, flow)| {
            let (_, destination, port) = &flow.ends;
            let destination = destination.parse().ok()?;
            Some(Change::EndFlows(
                source,
                destination,
                flow.protocol.clone(),
                *port,
            ))
        }),
    };
    let Some(change) = change else {
        model.message = Some(match key {
            ChangeKey::Block => "select a source: 3 Flows, 4 Conntrack, 7 Talkers".to_owned(),
            ChangeKey::EndFlows => "select a flow in 4 Conntrack".to_owned(),
        });
        return;
    };
    let flows = match &change {
        Change::Block(address) => {
            let name = address.to_string();
            let mut sources = data.flow_sources.iter();
            sources
                .find(|(source, _)| *source == name)
                .map(|(_, flows)| *flows)
        }
        Change::EndFlows(source, destination, protocol, port) => {
            let flows = data.top_flows.iter().flatten();
            let ends = (source.to_string(), destination.to_string(), *port);
            Some(
                flows
                    .filter(|flow| flow.ends == ends && flow.protocol == *protocol)
                    .count() as u64,
            )
        }
    };
    let effect = change.effect(flows);
    model.input = Some(Input::Confirm(change, effect, String::new()));
}

/// A key while a change waits for its object.
fn type_confirmation(
    model: &mut Model,
    change: Change,
    effect: String,
    mut typed: String,
    key: Key,
) {
    match key {
        Key::Esc => {
            model.message = Some("nothing has changed".to_owned());
            return;
        }
        Key::Enter if change.is_confirmed_by(&typed) => {
            model.request = Some(Request::Change(change));
            return;
        }
        Key::Enter => {
            model.message = Some("nothing has changed: type the address as it is shown".to_owned());
            return;
        }
        Key::Backspace => {
            typed.pop();
        }
        Key::Char(c) if !c.is_control() => typed.push(c),
        _ => {}
    }
    model.input = Some(Input::Confirm(change, effect, typed));
}

/// A click on a tab, or on a row of the list.
fn click(model: &mut Model, column: usize, line: usize) {
    let frame = &model.frame;
    if line == frame.tab_line {
        let mut tabs = frame.tabs.iter();
        if let Some((_, view)) = tabs.find(|(columns, _)| columns.contains(&column)) {
            show(model, *view);
        }
        return;
    }
    let Some(row) = line
        .checked_sub(frame.first_row)
        .filter(|row| *row < model.page)
    else {
        return;
    };
    let keys = orders::keys_of_rows(model);
    let list = model.list_mut();
    if let Some(key) = keys.get(list.offset + row) {
        list.selected = Some(key.clone());
    }
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

/// Selects another row of the view's list.
fn select(model: &mut Model, next: impl Fn(usize, usize) -> usize) {
    if model.has_help {
        model.help_offset = next(model.help_offset, TABLE.len());
        return;
    }
    let keys = orders::keys_of_rows(model);
    if keys.is_empty() {
        // Without rows to select, the view scrolls.
        let rows = model.text_lines.max(1);
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
