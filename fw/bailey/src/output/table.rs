//! Tables that fit the terminal: columns without room are left out, long texts are cut.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

use bailey_source::diagnostic::replace_control_chars;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::rate::format_rate;

/// One column of a table of `T`.
pub(crate) struct Column<T> {
    /// The header, also the name for `--sort`.
    pub header: &'static str,
    /// Order of removal on a narrow terminal: the highest rank is removed first, rank 0 never.
    pub rank: u8,
    /// How a row is formatted and sorted.
    pub cell: Cell<T>,
}

/// Content, alignment and order of a column.
pub(crate) enum Cell<T> {
    /// A number: right-aligned, descending.
    Number(fn(&T) -> u64),
    /// A text: left-aligned, ascending.
    Text(fn(&T) -> String),
    /// A number that may be absent: as [`Self::Number`], absent values last.
    Count(fn(&T) -> Option<u64>),
    /// A rate per second that may be absent: right-aligned, descending, absent values last.
    Rate(fn(&T) -> Option<f32>),
    /// The text of a number: right-aligned, sorted by the number, absent values last.
    Scale(fn(&T) -> String, fn(&T) -> Option<u64>),
}

impl<T> Column<T> {
    /// A column of numbers.
    pub(crate) const fn number(header: &'static str, rank: u8, cell: fn(&T) -> u64) -> Self {
        let cell = Cell::Number(cell);
        Self { header, rank, cell }
    }

    /// A column of numbers that may be absent.
    pub(crate) const fn count(header: &'static str, rank: u8, cell: fn(&T) -> Option<u64>) -> Self {
        let cell = Cell::Count(cell);
        Self { header, rank, cell }
    }

    /// A column of rates per second.
    pub(crate) const fn rate(header: &'static str, rank: u8, cell: fn(&T) -> Option<f32>) -> Self {
        let cell = Cell::Rate(cell);
        Self { header, rank, cell }
    }

    /// A column of texts.
    pub(crate) const fn text(header: &'static str, rank: u8, cell: fn(&T) -> String) -> Self {
        let cell = Cell::Text(cell);
        Self { header, rank, cell }
    }

    fn format_cell(&self, row: &T) -> String {
        match &self.cell {
            Cell::Number(number) => number(row).to_string(),
            Cell::Count(number) => number(row).map_or_else(|| "-".to_owned(), |n| n.to_string()),
            Cell::Rate(rate) => rate(row).map_or_else(|| "-".to_owned(), format_rate),
            Cell::Text(text) | Cell::Scale(text, _) => replace_control_chars(&text(row)),
        }
    }

    fn is_right_aligned(&self) -> bool {
        !matches!(self.cell, Cell::Text(_))
    }
}

/// Width of the terminal in columns, at least 20; `None` if standard output is not a terminal.
pub(crate) fn terminal_columns() -> Option<usize> {
    let (width, _) = io::stdout()
        .is_terminal()
        .then(terminal_size::terminal_size)
        .flatten()?;
    Some(usize::from(width.0).max(20))
}

/// A text column that would become narrower is removed.
const TEXT_WIDTH_MIN: usize = 12;
const SEPARATOR: &str = "  ";

/// A table that is formatted in blocks of rows. The first block fixes the widths of the columns, so a long
/// list is never in memory as a whole.
pub(crate) struct Table<'a, T> {
    columns: Vec<&'a Column<T>>,
    widths: Vec<usize>,
    /// Longest line in columns of the terminal.
    width_max: Option<usize>,
    has_headers: bool,
    has_begun: bool,
    /// Header of the column that rows are sorted by; it is never removed.
    sorted_by: Option<String>,
}

impl<'a, T> Table<'a, T> {
    /// A table of at most `width_max` columns of the terminal; `None` does not limit the width.
    pub(crate) fn new(
        columns: &'a [Column<T>],
        width_max: Option<usize>,
        has_headers: bool,
    ) -> Self {
        Self {
            columns: columns.iter().collect(),
            widths: Vec::new(),
            width_max,
            has_headers,
            has_begun: false,
            sorted_by: None,
        }
    }

    /// Leaves out the column with this header.
    #[must_use]
    pub(crate) fn without(mut self, header: &str) -> Self {
        self.columns.retain(|column| column.header != header);
        self
    }

    /// Keeps the column with this header on the narrowest terminal too.
    #[must_use]
    pub(crate) fn sorted_by(self, column: Option<&String>) -> Self {
        Self {
            sorted_by: column.cloned(),
            ..self
        }
    }

    /// Formats more rows as lines; the first call begins with the headers.
    pub(crate) fn format_rows(&mut self, rows: &[T]) -> String {
        let mut out = String::new();
        if !self.has_begun {
            self.has_begun = true;
            self.fix_widths(rows);
            if self.has_headers {
                let headers = self.columns.iter().map(|column| column.header.into());
                let headers: Vec<Cow<'_, str>> = headers.collect();
                self.push_line(&headers, &mut out);
            }
        }
        for row in rows {
            let cells = self
                .columns
                .iter()
                .map(|column| column.format_cell(row).into());
            let cells: Vec<Cow<'_, str>> = cells.collect();
            self.push_line(&cells, &mut out);
        }
        out
    }

    /// Chooses the columns and their widths so that lines fit.
    fn fix_widths(&mut self, rows: &[T]) {
        // Every column as wide as its longest cell.
        let width = |column: &&Column<T>| {
            let cells = rows.iter().map(|row| column.format_cell(row).width());
            cells.max().unwrap_or(0).max(column.header.width())
        };
        self.widths = self.columns.iter().map(width).collect();
        let Some(width_max) = self.width_max else {
            return;
        };
        let total = |widths: &[usize]| {
            widths.iter().sum::<usize>() + SEPARATOR.len() * widths.len().saturating_sub(1)
        };

        // Shorten or remove columns, the highest rank first.
        while total(&self.widths) > width_max {
            let is_sorted = |column: &Column<T>| {
                let sorted_by = self.sorted_by.as_ref();
                sorted_by.is_some_and(|name| column.header.eq_ignore_ascii_case(name))
            };
            let ranked = self.columns.iter().enumerate();
            let ranked = ranked.filter(|(_, column)| !is_sorted(column));
            let next = ranked.max_by_key(|(at, column)| (column.rank, *at));
            let Some((at, column)) = next.filter(|(_, column)| column.rank > 0) else {
                break;
            };
            let excess = total(&self.widths) - width_max;
            let remaining = self.widths[at].saturating_sub(excess);
            if !column.is_right_aligned() && remaining >= TEXT_WIDTH_MIN {
                self.widths[at] = remaining;
            } else {
                self.columns.remove(at);
                self.widths.remove(at);
            }
        }

        // Shorten the texts of the columns that must stay, the widest first.
        while total(&self.widths) > width_max {
            let columns = self.widths.iter().enumerate();
            let texts = columns.filter(|(at, _)| !self.columns[*at].is_right_aligned());
            match texts.max_by_key(|(_, width)| **width) {
                Some((at, &width)) if width > TEXT_WIDTH_MIN / 2 => self.widths[at] -= 1,
                _ => break,
            }
        }
    }

    fn push_line(&self, cells: &[Cow<'_, str>], out: &mut String) {
        let last = cells.len().saturating_sub(1);
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                out.push_str(SEPARATOR);
            }
            let width = self.widths[at];
            let text = if self.width_max.is_some() {
                shorten(cell, width)
            } else {
                Cow::Borrowed(&**cell)
            };
            let padding = width.saturating_sub(text.width());
            if self.columns[at].is_right_aligned() {
                out.extend(std::iter::repeat_n(' ', padding));
            }
            out.push_str(&text);
            if !self.columns[at].is_right_aligned() && at != last {
                out.extend(std::iter::repeat_n(' ', padding));
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
}

/// Cuts a text to a width; an ellipsis replaces the end.
fn shorten(text: &str, width_max: usize) -> Cow<'_, str> {
    if text.width() <= width_max {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > width_max {
            break;
        }
        out.push(letter);
    }
    out.push('\u{2026}');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(&'static str, u64);

    const COLUMNS: [Column<Row>; 3] = [
        Column::text("NAME", 0, |row| row.0.to_owned()),
        Column::number("COUNT", 1, |row| row.1),
        Column::text("NOTE", 2, |_| "a note".to_owned()),
    ];

    #[test]
    fn narrow_table_loses_highest_ranks_then_text_ends() {
        let rows = [Row("a rather long name", 7), Row("b", 1234)];
        let show = |width| Table::new(&COLUMNS, width, true).format_rows(&rows);
        assert_eq!(
            show(None),
            "NAME                COUNT  NOTE\n\
             a rather long name      7  a note\n\
             b                    1234  a note\n"
        );
        assert_eq!(
            show(Some(26)),
            "NAME                COUNT\na rather long name      7\nb                    1234\n"
        );
        let cut = Table::new(&COLUMNS[..1], Some(14), true).format_rows(&rows);
        assert_eq!(cut, "NAME\na rather long…\nb\n");
        assert_eq!(show(Some(10)), "NAME\na rather …\nb\n");
    }

    #[test]
    fn later_rows_use_widths_of_first_block() {
        let mut table = Table::new(&COLUMNS, None, false);
        assert_eq!(table.format_rows(&[Row("one", 1)]), "one       1  a note\n");
        assert_eq!(
            table.format_rows(&[Row("x", 2), Row("longer", 3)]),
            "x         2  a note\nlonger      3  a note\n"
        );
    }
}
