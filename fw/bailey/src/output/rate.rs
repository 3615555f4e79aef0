//! Rates per second as text.

/// A rate with three significant digits and a unit: `0.4`, `12`, `48.1k`, `2.61M`.
pub(crate) fn format_rate(rate: f32) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    // The next greater unit, if rounding would print four digits.
    let found = units.into_iter().find(|(size, _)| rate >= size * 0.9995);
    let (value, unit) = found.map_or((rate, ""), |(size, unit)| (rate / size, unit));
    let digits = match value {
        value if value >= 99.95 || value == 0.0 => 0,
        value if value >= 9.995 => 1,
        _ if unit.is_empty() => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    match text.strip_suffix(".0") {
        Some(whole) if unit.is_empty() => whole.to_owned(),
        _ => text + unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        for (rate, expected) in [
            (0.0, "0"),
            (0.4, "0.4"),
            (12.0, "12"),
            (12.34, "12.3"),
            (310.0, "310"),
            (999.4, "999"),
            (999.9, "1.00k"),
            (48_123.0, "48.1k"),
            (2_612_000.0, "2.61M"),
            (123_456_789.0, "123M"),
            (9.9e9, "9.90G"),
        ] {
            assert_eq!(format_rate(rate), expected, "{rate}");
        }
    }
}
