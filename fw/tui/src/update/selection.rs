//! Which view is shown, and which row is selected.

use crate::data::Packet;
use crate::model::{Keyed, Model, View, orders};
use crate::update::keys::TABLE;

/// Shows a view.
pub(super) fn show(model: &mut Model, view: View) {
    model.view = view;
    model.has_help = false;
    model.answer = None;
}

/// Key of the selected row, or of the first one.
pub(super) fn selected_key(model: &Model) -> Option<String> {
    let keys = orders::keys_of_rows(model);
    let selected = model.list().selected.as_ref();
    let known = keys.iter().find(|key| Some(*key) == selected);
    known.or_else(|| keys.first()).cloned()
}

/// The selected row of a list, or the first one.
pub(super) fn selected_row<'a, T: Keyed>(rows: Option<&'a [T]>, model: &Model) -> Option<&'a T> {
    let key = selected_key(model)?;
    rows?.iter().find(|row| row.key() == key)
}

/// The selected packet, or the last one of the selected rule or reason.
pub(super) fn selected_packet(model: &Model) -> Option<&Packet> {
    let data = model.shown();
    let mut packets = data.packets.iter();
    match model.view {
        View::Flows => selected_row(Some(&data.packets), model),
        View::Rules => {
            let rule = selected_row(Some(&data.rules), model)?;
            packets.find(|packet| packet.rules.contains(&rule.id))
        }
        View::Drops => {
            let drop = selected_row(Some(&data.drops), model)?;
            packets.find(|packet| drop.has(packet))
        }
        _ => None,
    }
}

/// A click on a tab, or on a row of the list.
pub(super) fn click(model: &mut Model, column: usize, line: usize) {
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

/// Selects another row of the view's list.
pub(super) fn select(model: &mut Model, next: impl Fn(usize, usize) -> usize) {
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
