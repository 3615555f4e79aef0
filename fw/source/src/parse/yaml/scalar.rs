//! Types of YAML scalars: YAML 1.1, as the API server reads it.

use saphyr_parser::{ScalarStyle, Tag};

use crate::parse::error::SyntaxError;
use crate::parse::node::{Pos, Value};

/// The value of a scalar, by its style and tag.
pub(super) fn resolve_scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    pos: Pos,
) -> Result<Value, SyntaxError> {
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => resolve_plain(text),
            _ => Value::String(text.to_owned()),
        });
    };
    if !tag.is_yaml_core_schema() {
        return Err(unknown_tag(pos, tag));
    }
    let value = match tag.suffix.as_str() {
        "str" | "binary" | "timestamp" => return Ok(Value::String(text.to_owned())),
        "null" | "bool" | "int" | "float" => resolve_plain(text),
        _ => return Err(unknown_tag(pos, tag)),
    };
    let fits = matches!(
        (tag.suffix.as_str(), &value),
        ("null", Value::Null)
            | ("bool", Value::Bool(_))
            | ("int", Value::Integer(_))
            | ("float", Value::Float(_) | Value::Integer(_))
    );
    if fits {
        return Ok(value);
    }
    Err(SyntaxError {
        pos,
        message: format!("cannot read {text:?} as {tag}"),
    })
}

/// The typed value of a plain scalar, by the rules of go-yaml v2 `resolve.go`. `sigs.k8s.io/yaml`,
/// and with it the API server and kubectl, use these rules.
fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::String(text.to_owned());
    }
    let digits = text.replace('_', "");
    if let Some(value) = parse_integer(&digits) {
        return Value::Integer(value);
    }
    match parse_float(&digits) {
        // JSON does not distinguish 80.0 from 80.
        Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => Value::Integer(value as i64),
        Some(value) => Value::Float(value),
        None => Value::String(text.to_owned()),
    }
}

/// Parses an integer like Go's `strconv.ParseInt` with base 0.
fn parse_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i64::from_str_radix(digits, base).ok()?;
    Some(if negative { -value } else { value })
}

/// Parses a float like `sigs.k8s.io/yaml` (goyaml.v2 `resolve.go`):
/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and no overflow.
fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !digits(exponent) {
            return None;
        }
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

pub(super) fn unknown_tag(pos: Pos, tag: &Tag) -> SyntaxError {
    SyntaxError {
        pos,
        message: format!("unknown tag {tag}"),
    }
}
