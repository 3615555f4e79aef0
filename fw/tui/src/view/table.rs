//! Lists: which rows are visible, and which is selected.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::model::{Keyed, ListState, Model, View, shown_rows};
use crate::number::full;
use crate::text::left;
use crate::view::Canvas;

/// The visible part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Index of the first visible row.
    pub(crate) first: usize,
    /// Rows that are visible.
    pub(crate) count: usize,
    /// Index of the selected row.
    pub(crate) selected: Option<usize>,
}

/// The window of a list of these rows in so many lines: near the last offset, with the selected row.
pub(crate) fn window<T: Keyed>(rows: &[&T], state: &ListState, lines: usize) -> Window {
    let selected = state.selected.as_ref();
    let selected = selected.and_then(|key| rows.iter().position(|row| row.has_key(key)));
    let mut first = state.offset.min(rows.len().saturating_sub(lines));
    if let Some(at) = selected {
        first = first.min(at).max((at + 1).saturating_sub(lines));
    }
    Window {
        first,
        count: lines.min(rows.len() - first),
        selected,
    }
}

impl Window {
    /// `1-10 of 10 011`.
    pub(crate) fn position(&self, total: usize) -> String {
        if self.count == 0 {
            return format!("0 of {}", full(total as u64));
        }
        let (first, last) = (self.first + 1, self.first + self.count);
        format!("{first}-{last} of {}", full(total as u64))
    }

    /// The visible rows with their indices.
    pub(crate) fn visible<'a, T>(&self, rows: &'a [&'a T]) -> impl Iterator<Item = (usize, &'a T)> {
        let rows = rows.iter().enumerate().skip(self.first).take(self.count);
        rows.map(|(at, row)| (at, *row))
    }

    /// The mark before a row.
    pub(crate) fn mark(&self, at: usize, canvas: &Canvas) -> char {
        match self.selected == Some(at) {
            true => canvas.look.selected(),
            false => ' ',
        }
    }
}

/// A row; the second character is the sign of a verdict and has its colour, if that is given.
pub(crate) fn row_line(
    text: &str,
    is_selected: bool,
    sign: Style,
    canvas: &Canvas,
) -> Line<'static> {
    let text = left(text, canvas.width);
    let style = if is_selected {
        canvas.look.strong()
    } else {
        Style::new()
    };
    if sign == Style::new() {
        return Line::from(Span::styled(text, style));
    }
    let mut chars = text.char_indices();
    let (Some((first, _)), Some((second, _))) = (chars.nth(1), chars.next()) else {
        return Line::from(Span::styled(text, style));
    };
    let (mark, rest) = text.split_at(first);
    let (verdict, rest) = rest.split_at(second - first);
    Line::from(vec![
        Span::styled(mark.to_owned(), style),
        Span::styled(verdict.to_owned(), sign.patch(style)),
        Span::styled(rest.to_owned(), style),
    ])
}

/// The position in the list of this view, for screens without a title line.
pub(crate) fn position(model: &Model) -> String {
    let data = model.shown();
    let of = |(rows, total): (usize, usize)| {
        let lines = model.page.min(rows);
        let first = model.list().offset.min(rows.saturating_sub(lines));
        Window {
            first,
            count: lines,
            selected: None,
        }
        .position(total)
    };
    fn counts<T: Keyed>(rows: &[T], state: &ListState) -> (usize, usize) {
        (shown_rows(rows, state, &[]).len(), rows.len())
    }
    let list = model.list();
    match model.view {
        View::Rules => of(counts(&data.rules, list)),
        View::Drops => of(counts(&data.drops, list)),
        View::Nics => of(counts(&data.nics, list)),
        View::Talkers => of(counts(&data.talkers.lists[model.talkers_by], list)),
        View::Blocks => of(counts(&data.blocks, list)),
        _ => String::new(),
    }
}
