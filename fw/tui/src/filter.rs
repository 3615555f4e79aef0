//! The filter language: `policy:shop/ !verdict:deny pkts:>1k or /web-.*/`.
//!
//! Terms in a row must all match; `or` separates alternatives; `!` reverses a term. `field:text` looks into one
//! field, `field:10.0.0.0/8` compares addresses, `field:>1k` numbers; a bare word and `/regular expression/` look
//! anywhere.

use std::net::IpAddr;

use ipnet::IpNet;
use regex_lite::Regex;

/// Names of fields, with those that mean the same.
const FIELDS: [(&str, &str); 18] = [
    ("rule", "rule"),
    ("policy", "policy"),
    ("ns", "ns"),
    ("verdict", "verdict"),
    ("reason", "reason"),
    ("kind", "kind"),
    ("if", "if"),
    ("src", "src"),
    ("dst", "dst"),
    ("port", "port"),
    ("proto", "proto"),
    ("state", "state"),
    ("name", "name"),
    ("hits", "hits"),
    ("pkts", "pkts"),
    ("bytes", "bytes"),
    ("live", "live"),
    ("rate", "rate"),
];

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text, an address, or an address with a port.
    Text(String),
    /// A number.
    Number(f64),
}

/// A row that filters look into.
pub trait Filtered {
    /// The value of a field; `None` if rows of this kind have no such field.
    fn field(&self, name: &str) -> Option<Value>;
    /// Everything that a bare word may match.
    fn text(&self) -> String;
}

/// A parsed filter. The empty one matches every row.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    source: String,
    alternatives: Vec<Vec<Term>>,
}

#[derive(Debug, Clone)]
struct Term {
    is_reversed: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Word(String),
    Expression(Regex),
    Text(&'static str, String),
    Network(&'static str, IpNet),
    Above(&'static str, f64),
    Below(&'static str, f64),
}

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(source: &str) -> Result<Self, String> {
        let mut alternatives = vec![Vec::new()];
        for word in words(source)? {
            if word.eq_ignore_ascii_case("or") {
                alternatives.push(Vec::new());
                continue;
            }
            let (is_reversed, word) = match word.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, &*word),
            };
            if word.is_empty() {
                return Err("`!` reverses the term behind it".to_owned());
            }
            let test = parse_test(word)?;
            if let Some(terms) = alternatives.last_mut() {
                terms.push(Term { is_reversed, test });
            }
        }
        if alternatives.len() > 1 && alternatives.iter().any(Vec::is_empty) {
            return Err("`or` needs a term on either side".to_owned());
        }
        alternatives.retain(|terms| !terms.is_empty());
        Ok(Self {
            source: source.trim().to_owned(),
            alternatives,
        })
    }

    /// The filter as typed.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a row matches.
    pub fn matches(&self, row: &impl Filtered) -> bool {
        let is_term = |term: &Term| term.test.matches(row) != term.is_reversed;
        self.alternatives.is_empty()
            || self
                .alternatives
                .iter()
                .any(|terms| terms.iter().all(is_term))
    }
}

/// Words separated by blanks; an expression between slashes may have blanks.
fn words(source: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = source.trim_start();
    while !rest.is_empty() {
        let expression = rest.strip_prefix('!').unwrap_or(rest).starts_with('/');
        let start = rest.len() - rest.trim_start_matches('!').len() + 1;
        let end = match expression {
            true => {
                let end = rest[start..]
                    .find('/')
                    .ok_or("the `/` of an expression has no end")?;
                start + end + 1
            }
            false => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

fn parse_test(word: &str) -> Result<Test, String> {
    if let Some(expression) = word
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'))
    {
        let regex = Regex::new(expression).map_err(|error| format!("{word}: {error}"))?;
        return Ok(Test::Expression(regex));
    }
    let Some((name, value)) = word
        .split_once(':')
        .filter(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()))
    else {
        return Ok(Test::Word(word.to_lowercase()));
    };
    let known = FIELDS.iter().find(|(known, _)| *known == name);
    let Some((_, field)) = known else {
        let names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no field `{name}`; fields are {}", names.join(" ")));
    };
    if value.is_empty() {
        return Err(format!("`{name}:` needs a value"));
    }
    for (sign, is_above) in [('>', true), ('<', false)] {
        if let Some(number) = value.strip_prefix(sign) {
            let number = parse_number(number).ok_or_else(|| format!("`{number}` is no number"))?;
            return Ok(match is_above {
                true => Test::Above(field, number),
                false => Test::Below(field, number),
            });
        }
    }
    if value.contains('/')
        && let Ok(network) = value.parse::<IpNet>()
    {
        return Ok(Test::Network(field, network));
    }
    Ok(Test::Text(field, value.to_lowercase()))
}

/// A number with k, M, G or T.
fn parse_number(text: &str) -> Option<f64> {
    let factor = match text.chars().last()? {
        'k' => 1e3,
        'M' => 1e6,
        'G' => 1e9,
        'T' => 1e12,
        _ => 1.0,
    };
    let digits = if factor > 1.0 {
        &text[..text.len() - 1]
    } else {
        text
    };
    digits.parse::<f64>().ok().map(|number| number * factor)
}

impl Test {
    fn matches(&self, row: &impl Filtered) -> bool {
        let text = |field: &str| match row.field(field) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            None => None,
        };
        let number = |field: &str| match row.field(field) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        };
        match self {
            Self::Word(word) => row.text().to_lowercase().contains(word),
            Self::Expression(regex) => regex.is_match(&row.text()),
            Self::Text("port", wanted) => text("port").is_some_and(|text| text == *wanted),
            Self::Text(field, wanted) => {
                text(field).is_some_and(|text| text.to_lowercase().contains(wanted))
            }
            Self::Network(field, network) => text(field)
                .and_then(|text| address_of(&text))
                .is_some_and(|address| network.contains(&address)),
            Self::Above(field, least) => number(field).is_some_and(|number| number > *least),
            Self::Below(field, most) => number(field).is_some_and(|number| number < *most),
        }
    }
}

/// The address in `address`, `address:port` or `[address]:port`.
fn address_of(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next());
    let parsed = inner.unwrap_or(text).parse();
    parsed
        .ok()
        .or_else(|| text.rsplit_once(':')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row;

    impl Filtered for Row {
        fn field(&self, name: &str) -> Option<Value> {
            match name {
                "rule" | "policy" => Some(Value::Text("shop/web-public in[0] :8080/TCP".into())),
                "src" => Some(Value::Text("198.51.100.20:51544".into())),
                "dst" => Some(Value::Text("[2001:db8::1]:80".into())),
                "hits" => Some(Value::Number(1500.0)),
                _ => None,
            }
        }

        fn text(&self) -> String {
            "shop/web-public in[0] :8080/TCP 198.51.100.20".to_owned()
        }
    }

    #[test]
    fn terms_combine_and_reverse() {
        for (filter, matches) in [
            ("", true),
            ("web", true),
            ("WEB db", false),
            ("db or web", true),
            ("!db web", true),
            ("policy:shop/web", true),
            ("rule:/web", true),
            ("src:198.51.100.0/24", true),
            ("src:198.51.101.0/24", false),
            ("dst:2001:db8::/64", true),
            ("hits:>1k", true),
            ("hits:>1.5k", false),
            ("hits:<2k !hits:>1.6k", true),
            ("/web-.* in/", true),
            ("!/web-.* in/", false),
            ("state:new", false),
        ] {
            let parsed = Filter::parse(filter).unwrap();
            assert_eq!(parsed.matches(&Row), matches, "{filter}");
        }
    }

    #[test]
    fn mistakes_are_sentences() {
        for (filter, expected) in [
            ("polcy:shop", "no field `polcy`"),
            ("rule:", "needs a value"),
            ("hits:>x", "is no number"),
            ("a or", "either side"),
            ("or a", "either side"),
            ("!", "reverses"),
            ("/a", "has no end"),
            ("/(/", "/(/:"),
        ] {
            let error = Filter::parse(filter).unwrap_err();
            assert!(error.contains(expected), "{filter}: {error}");
        }
    }
}
