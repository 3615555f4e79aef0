//! Durations of blocks as text: `90s`, `15m`, `2h`, `7d`.

/// Longest block in seconds: an emergency that lasts longer belongs in the policy.
const SECONDS_MAX: u64 = 30 * 86_400;

/// Parses `90s`, `15m`, `2h` or `7d` into seconds.
///
/// # Errors
/// If the text has another form, is 0, or exceeds 30 days.
pub(crate) fn parse_seconds(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("expected a number and s, m, h or d, as in 2h".into()),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| "expected a number and s, m, h or d, as in 2h".to_owned())?;
    match count.checked_mul(factor) {
        Some(seconds @ 1..=SECONDS_MAX) => Ok(seconds),
        _ => Err("at least 1s, at most 30d".into()),
    }
}

/// Formats seconds in the two largest units, as in `1h 30m`.
pub(crate) fn format_seconds(seconds: u64) -> String {
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
    fn durations_are_parsed_and_formatted() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("2h", 7200),
            ("30d", SECONDS_MAX),
        ] {
            assert_eq!(parse_seconds(text), Ok(seconds));
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
            assert!(parse_seconds(text).is_err(), "{text}");
        }
        let shown = [5, 65, 3700, 90_000].map(format_seconds);
        assert_eq!(shown, ["5s", "1m 5s", "1h 1m", "1d 1h"]);
    }
}
