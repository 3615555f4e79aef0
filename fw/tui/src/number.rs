//! Numbers for people: three significant digits and a unit, shares, durations.

/// Three significant digits and a unit: `48.1k`, `2.61M`. A zero at the end is left out where the number has no
/// further digits: `12`, `6.2k`; one digit stays behind the point below 10 units: `4.0k`.
pub fn short(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return "-".to_owned();
    }
    // A sum of nothing is -0.
    let mut scaled = value + 0.0;
    for unit in ["", "k", "M", "G", "T", "P"] {
        // 999.5 has four digits when rounded.
        if scaled < 999.5 || unit == "P" {
            return digits(scaled, unit);
        }
        scaled /= 1000.0;
    }
    unreachable!("the last unit returns")
}

fn digits(scaled: f64, unit: &str) -> String {
    let decimals = match scaled {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        _ => 2,
    };
    let rounded = |decimals: usize| {
        let factor = 10_f64.powi(decimals as i32);
        (scaled * factor).round() / factor
    };
    // A rate of a whole number of packets is measured over a second that is not exact: what its three digits
    // say counts. With a unit they stay.
    let shown = if unit.is_empty() {
        rounded(decimals)
    } else {
        scaled
    };
    let exact = |decimals: usize| (rounded(decimals) - shown).abs() < 1e-9 * scaled.max(1.0);
    let least = usize::from(!unit.is_empty() && scaled < 9.995);
    let fewest = (least..=decimals).find(|&decimals| exact(decimals));
    format!("{scaled:.*}{unit}", fewest.unwrap_or(decimals))
}

/// A number or a time with a blank before its unit, as wide screens have it: `18.2 k`, `20 %`, `4 s`.
pub fn spaced(text: &str) -> String {
    match text.chars().last() {
        Some(unit) if unit == '%' || unit.is_ascii_alphabetic() => {
            format!("{} {unit}", &text[..text.len() - 1])
        }
        _ => text.to_owned(),
    }
}

/// A count of thousands without decimals, of millions as [`short`]: `9k`, `353k`, `1.69M`.
pub fn brief(value: u64) -> String {
    match value {
        1000..=999_499 => format!("{:.0}k", value as f64 / 1000.0),
        _ => short(value as f64),
    }
}

/// A count in full up to five digits, with separated thousands, else as [`short`].
pub fn count(value: u64) -> String {
    match value {
        0..=999 => value.to_string(),
        1000..=99_999 => format!("{} {:03}", value / 1000, value % 1000),
        _ => short(value as f64),
    }
}

/// A count in full, with separated thousands.
pub fn full(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A value that may be unknown.
pub fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), short)
}

/// A part in whole percent.
pub fn percent(part: f64, of: f64) -> String {
    match of > 0.0 {
        true => format!("{:.0}%", part / of * 100.0),
        false => "-".to_owned(),
    }
}

/// A part in percent with one decimal.
pub fn share(part: f64, of: f64) -> String {
    match of > 0.0 {
        true => format!("{:.1}%", part / of * 100.0),
        false => "-".to_owned(),
    }
}

/// An age in its largest unit: `4s`, `12m`, `3h`, `41d`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time that is left: `0:59`, `2h04`, `3d 4h`.
pub fn left(seconds: u64) -> String {
    match seconds {
        0..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A time until an event, in a sentence: `39 min`, `1 min 50 s`, `2 h 31 min`.
pub fn until(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => match seconds % 60 {
            0 => format!("{} min", seconds / 60),
            rest => format!("{} min {rest} s", seconds / 60),
        },
        600..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.4, "0.4"),
            (0.417, "0.42"),
            (0.9997, "1"),
            (1.003, "1"),
            (25.03, "25"),
            (2.51, "2.51"),
            (3.0, "3"),
            (12.0, "12"),
            (12.34, "12.3"),
            (812.0, "812"),
            (999.6, "1.00k"),
            (1100.0, "1.1k"),
            (4000.0, "4.0k"),
            (6200.0, "6.2k"),
            (48_100.0, "48.1k"),
            (81_012.0, "81.0k"),
            (301_400.0, "301k"),
            (1_404_000.0, "1.40M"),
            (2_610_000.0, "2.61M"),
            (46_000_000.0, "46M"),
            (41.2e9, "41.2G"),
            (2.5e18, "2500P"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(short(value), text, "{value}");
        }
        assert_eq!(
            [count(71_020), count(999), count(5_720_000)],
            ["71 020", "999", "5.72M"]
        );
        assert_eq!(full(1_571_204), "1 571 204");
        assert_eq!(
            ["18.2k", "20%", "812", "4s"].map(spaced),
            ["18.2 k", "20 %", "812", "4 s"]
        );
    }

    #[test]
    fn times_have_their_largest_units() {
        assert_eq!(
            [0, 4, 125, 7300, 41 * 86_400].map(age),
            ["0s", "4s", "2m", "2h", "41d"]
        );
        assert_eq!(
            [59, 120, 7440, 200_000].map(left),
            ["0:59", "2:00", "2h04", "2d 7h"]
        );
        assert_eq!(
            [110, 2340, 9060].map(until),
            ["1 min 50 s", "39 min", "2 h 31 min"]
        );
        assert_eq!(
            (percent(412.0, 2097.0), share(98.1, 100.0)),
            ("20%".into(), "98.1%".into())
        );
        assert_eq!(percent(1.0, 0.0), "-");
    }
}
