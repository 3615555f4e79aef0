//! Text from policies and from the wire, for cells of a terminal: escaped, measured, cut.

use unicode_width::UnicodeWidthStr;

/// Replaces control characters by escapes such as `\x1b`. Also those that change the direction of text, and
/// invisible ones that join or change characters: terminals disagree about the width of the result.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() && u32::from(c) < 256 => {
                safe.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            // Blanks and joiners without width, marks, embeddings, overrides and isolates of directions,
            // separators of lines and paragraphs, selectors of variants.
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{2060}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0100}'..='\u{e01ef}' => {
                safe.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cuts a text to a width; an ellipsis replaces the end.
pub fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        // Measured as a whole: a mark can change the width of the character before it.
        kept.push(c);
        if kept.width() > most.saturating_sub(1) {
            kept.pop();
            break;
        }
    }
    if most > 0 {
        kept.push('…');
    }
    kept
}

/// A text in exactly this width, from the left.
pub fn left(text: &str, to: usize) -> String {
    let text = cut(text, to);
    let padding = to.saturating_sub(text.width());
    text + &" ".repeat(padding)
}

/// A text in exactly this width, at the right.
pub fn right(text: &str, to: usize) -> String {
    let text = cut(text, to);
    " ".repeat(to.saturating_sub(text.width())) + &text
}

/// Two texts at the ends of a line of exactly this width. The right one stays if both do not fit.
pub fn ends(first: &str, last: &str, to: usize) -> String {
    let room = to.saturating_sub(last.width());
    left(first, room) + &cut(last, to)
}

/// `03:12:07.412` of an RFC 3339 time in UTC.
pub fn time_of_day(time: &str) -> String {
    let day = time.split_once('T').map_or(time, |(_, rest)| rest);
    escape(day.trim_end_matches('Z'))
}

/// `address:port`, or the address alone if the protocol has no ports.
pub fn socket(address: &str, port: u16) -> String {
    match (port, address.contains(':')) {
        (0, _) => address.to_owned(),
        (port, true) => format!("[{address}]:{port}"),
        (port, false) => format!("{address}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_becomes_harmless() {
        assert_eq!(escape("a\x1b[31m\nb"), "a\\x1b[31m\\x0ab");
        assert_eq!(escape("a\u{202e}b\u{9b}"), "a\\u{202e}b\\x9b");
        assert_eq!(escape("größe 漢"), "größe 漢");
    }

    #[test]
    fn texts_are_measured_in_columns() {
        assert_eq!(left("漢字", 5), "漢字 ");
        assert_eq!(left("漢字漢", 5), "漢字…");
        assert_eq!(right("12", 4), "  12");
        assert_eq!(ends("ab", "cd", 6), "ab  cd");
        assert_eq!(ends("abcdef", "cd", 6), "abc…cd");
        assert_eq!(cut("abc", 0), "");
        // A selector makes the digit before it wide.
        let wide = "1\u{fe0f}".repeat(20);
        assert!(width(&left(&wide, 15)) <= 15 && width(&right(&wide, 15)) <= 15);
    }
}
