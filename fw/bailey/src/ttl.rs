//! Times to live, as people write them.

/// Longer than this nobody means an emergency.
const LONGEST: u64 = 30 * 86_400;

/// `90s`, `15m`, `2h`, `7d` in seconds.
///
/// # Errors
/// If it is none of these, is 0, or is longer than 30 days.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("a number and s, m, h or d, as in 2h".into()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a number and s, m, h or d, as in 2h".to_owned())?;
    match number.checked_mul(factor) {
        Some(seconds @ 1..=LONGEST) => Ok(seconds),
        _ => Err("at least 1s, at most 30d".into()),
    }
}

/// Seconds as people read them: the two largest units.
pub(crate) fn show(seconds: u64) -> String {
    let (d, h, m, s) = (
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    );
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m {s}s"),
        (0, ..) => format!("{h}h {m}m"),
        _ => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("2h", 7200), ("30d", LONGEST)] {
            assert_eq!(parse(text), Ok(seconds));
        }
        for text in [
            "",
            "5",
            "h",
            "0s",
            "31d",
            "1w",
            "-1s",
            "1.5h",
            "99999999999999999999s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let shown = [5, 65, 3700, 90_000].map(show);
        assert_eq!(shown, ["5s", "1m 5s", "1h 1m", "1d 1h"]);
    }
}
