use std::fmt::Write as _;

use super::Config;
use crate::nearest::nearest;

/// Tables are tables, texts are texts: serde would also read a list as a table's values in their order, and
/// a table as the name of a choice. What is no TOML is told by who reads it next.
pub(super) fn check_shapes(text: &str) -> Result<(), String> {
    let (Ok(given), Ok(toml::Value::Table(known))) = (
        text.parse::<toml::Table>(),
        toml::Value::try_from(Config::default()),
    ) else {
        return Ok(());
    };
    check_table("", &given, &known)?;
    for (key, entries) in &given {
        let (Some(entries), "interfaces" | "failsafe") = (entries.as_array(), key.as_str()) else {
            continue;
        };
        let example = match key.as_str() {
            "failsafe" => "{ cidr = \"192.0.2.0/24\", port = 22 }",
            _ => "\"eth0\" or { name = \"eth0\", xdp_mode = \"generic\" }",
        };
        let fits =
            |entry: &&toml::Value| entry.is_table() || (key == "interfaces" && entry.is_str());
        if let Some(entry) = entries.iter().find(|entry| !fits(entry)) {
            return Err(format!("{key}: {entry} is no entry; one is {example}"));
        }
        let named =
            |entry: &&toml::Value| entry.as_table().is_some_and(|t| !t.contains_key("name"));
        if key == "interfaces"
            && let Some(entry) = entries.iter().find(named)
        {
            return Err(format!("{key}: {entry} has no name; an entry is {example}"));
        }
    }
    Ok(())
}

fn check_table(path: &str, given: &toml::Table, known: &toml::Table) -> Result<(), String> {
    for (key, value) in given {
        let Some(default) = known.get(key) else {
            continue;
        };
        let name = format!("{path}{key}");
        match (value, default) {
            (toml::Value::Table(value), toml::Value::Table(default)) => {
                check_table(&format!("{name}."), value, default)?;
            }
            (_, toml::Value::Table(_)) => {
                return Err(format!(
                    "{name} = {value}: is a table; write [{name}] and its keys"
                ));
            }
            (_, toml::Value::String(default)) if !value.is_str() => {
                return Err(format!(
                    "{name} = {value}: is a text, as in {name} = {default:?}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn describe_unknown(unknown: &[String]) -> String {
    let known = known_keys();
    let mut message = String::new();
    for key in unknown {
        let suffix = known
            .iter()
            .find(|candidate| candidate.ends_with(&format!(".{key}")));
        if !message.is_empty() {
            message.push_str("; ");
        }
        let _ = write!(message, "unknown key `{key}`");
        match suffix {
            Some(candidate) => {
                let _ = write!(message, ", did you mean `{candidate}`?");
            }
            None => message.push_str(&nearest(key, &known)),
        }
    }
    message
}

/// All keys, `table.key` for those of tables.
pub(super) fn known_keys() -> Vec<String> {
    let Ok(toml::Value::Table(top)) = toml::Value::try_from(Config::default()) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for (key, value) in top {
        if let toml::Value::Table(inner) = value {
            keys.extend(inner.keys().map(|name| format!("{key}.{name}")));
        }
        keys.push(key);
    }
    keys
}
