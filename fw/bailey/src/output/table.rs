use std::borrow::Cow;
use std::io::{self, IsTerminal};

use bailey_source::diagnostic::replace_control_chars;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// One column of a table of `T`.
pub(crate) struct Column<T> {
    /// Its name.
    pub header: &'static str,
    /// 0 stays; of the others the greatest goes first where a terminal is too narrow.
    pub rank: u8,
    /// What stands in it.
    pub cell: Cell<T>,
}

/// What stands in a column.
pub(crate) enum Cell<T> {
    /// A number; to the right, and sorted from the greatest.
    Number(fn(&T) -> u64),
    /// A text; to the left, and sorted from a to z.
    Text(fn(&T) -> String),
    /// A number or nothing; as [`Self::Number`], nothing last.
    Count(fn(&T) -> Option<u64>),
    /// A text that stands for a number: to the right, and sorted by it. Nothing sorts last.
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

    /// A column of texts.
    pub(crate) const fn text(header: &'static str, rank: u8, cell: fn(&T) -> String) -> Self {
        let cell = Cell::Text(cell);
        Self { header, rank, cell }
    }

    fn show(&self, row: &T) -> String {
        match &self.cell {
            Cell::Number(number) => number(row).to_string(),
            Cell::Count(number) => number(row).map_or_else(|| "-".to_owned(), |n| n.to_string()),
            Cell::Text(text) | Cell::Scale(text, _) => replace_control_chars(&text(row)),
        }
    }

    fn is_right(&self) -> bool {
        !matches!(self.cell, Cell::Text(_))
    }
}

/// Columns that a terminal has, if standard output is one and they are all to be on it.
pub(crate) fn terminal_columns() -> Option<usize> {
    let (width, _) = io::stdout()
        .is_terminal()
        .then(terminal_size::terminal_size)
        .flatten()?;
    Some(usize::from(width.0).max(20))
}

/// A text of which less than so much is left is left out.
const READABLE: usize = 12;
const BETWEEN: &str = "  ";

/// A table that is written block by block: the first decides how wide columns are, so that a long list
/// is never there as a whole.
pub(crate) struct Table<'a, T> {
    columns: Vec<&'a Column<T>>,
    widths: Vec<usize>,
    /// The most columns of a terminal that a line may take.
    limit: Option<usize>,
    headers: bool,
    began: bool,
    /// The column that rows are sorted by, which stays.
    sorted: Option<String>,
}

impl<'a, T> Table<'a, T> {
    /// A table that is to fit, and begins with its headers or not.
    pub(crate) fn new(columns: &'a [Column<T>], limit: Option<usize>, headers: bool) -> Self {
        Self {
            columns: columns.iter().collect(),
            widths: Vec::new(),
            limit,
            headers,
            began: false,
            sorted: None,
        }
    }

    /// The same; the column of this name stays, however narrow the terminal is.
    #[must_use]
    pub(crate) fn sorted_by(self, column: Option<&String>) -> Self {
        Self {
            sorted: column.cloned(),
            ..self
        }
    }

    /// The lines of more rows, each with its end.
    pub(crate) fn rows(&mut self, rows: &[T]) -> String {
        let mut out = String::new();
        if !self.began {
            self.began = true;
            self.measure(rows);
            if self.headers {
                let headers = self.columns.iter().map(|column| column.header.into());
                let headers: Vec<Cow<'_, str>> = headers.collect();
                self.line(&headers, &mut out);
            }
        }
        for row in rows {
            let cells = self.columns.iter().map(|column| column.show(row).into());
            let cells: Vec<Cow<'_, str>> = cells.collect();
            self.line(&cells, &mut out);
        }
        out
    }

    fn measure(&mut self, rows: &[T]) {
        let width = |column: &&Column<T>| {
            let cells = rows.iter().map(|row| column.show(row).width());
            cells.max().unwrap_or(0).max(column.header.width())
        };
        self.widths = self.columns.iter().map(width).collect();
        let Some(limit) = self.limit else { return };
        let total = |widths: &[usize]| {
            widths.iter().sum::<usize>() + BETWEEN.len() * widths.len().saturating_sub(1)
        };
        while total(&self.widths) > limit {
            let is_sorted = |column: &Column<T>| {
                let sorted = self.sorted.as_ref();
                sorted.is_some_and(|name| column.header.eq_ignore_ascii_case(name))
            };
            let ranked = self.columns.iter().enumerate();
            let ranked = ranked.filter(|(_, column)| !is_sorted(column));
            let least = ranked.max_by_key(|(at, column)| (column.rank, *at));
            let Some((at, column)) = least.filter(|(_, column)| column.rank > 0) else {
                break;
            };
            let over = total(&self.widths) - limit;
            let left = self.widths[at].saturating_sub(over);
            if !column.is_right() && left >= READABLE {
                self.widths[at] = left;
            } else {
                self.columns.remove(at);
                self.widths.remove(at);
            }
        }
        // What stays and is too wide loses ends of texts, the widest first.
        while total(&self.widths) > limit {
            let wide = self.widths.iter().enumerate();
            let texts = wide.filter(|(at, _)| !self.columns[*at].is_right());
            match texts.max_by_key(|(_, width)| **width) {
                Some((at, &width)) if width > READABLE / 2 => self.widths[at] -= 1,
                _ => break,
            }
        }
    }

    fn line(&self, cells: &[Cow<'_, str>], out: &mut String) {
        let last = cells.len().saturating_sub(1);
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                out.push_str(BETWEEN);
            }
            let room = self.widths[at];
            let cut = if self.limit.is_some() {
                cut(cell, room)
            } else {
                Cow::Borrowed(&**cell)
            };
            let pad = room.saturating_sub(cut.width());
            if self.columns[at].is_right() {
                out.extend(std::iter::repeat_n(' ', pad));
            }
            out.push_str(&cut);
            if !self.columns[at].is_right() && at != last {
                out.extend(std::iter::repeat_n(' ', pad));
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
}

/// A text that fits, with a sign where its end is missing.
fn cut(text: &str, room: usize) -> Cow<'_, str> {
    if text.width() <= room {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > room {
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
    fn the_least_important_columns_go_first_then_ends_of_texts() {
        let rows = [Row("a rather long name", 7), Row("b", 1234)];
        let show = |limit| Table::new(&COLUMNS, limit, true).rows(&rows);
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
        let cut = Table::new(&COLUMNS[..1], Some(14), true).rows(&rows);
        assert_eq!(cut, "NAME\na rather long…\nb\n");
        assert_eq!(show(Some(10)), "NAME\na rather …\nb\n");
    }

    #[test]
    fn later_rows_take_the_widths_of_the_first() {
        let mut table = Table::new(&COLUMNS, None, false);
        assert_eq!(table.rows(&[Row("one", 1)]), "one       1  a note\n");
        assert_eq!(
            table.rows(&[Row("x", 2), Row("longer", 3)]),
            "x         2  a note\nlonger      3  a note\n"
        );
    }
}
