//! Checks of TOML shapes before serde reads values, and suggestions for unknown keys.

use std::fmt::Write as _;

use crate::nearest::nearest;

/// Requires a table where a table belongs, and a string where a string belongs: serde would also accept a
/// list as the values of a table in their order, and a table as the name of an enum variant. Text that is
/// not TOML passes; the deserializer reports it.
pub(crate) fn check_shapes(text: &str, known: &toml::Table) -> Result<(), String> {
    let Ok(given) = text.parse::<toml::Table>() else {
        return Ok(());
    };
    check_table("", &given, known)?;
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
            return Err(format!("{key}: {entry} is not an entry; write {example}"));
        }
        let named =
            |entry: &&toml::Value| entry.as_table().is_some_and(|t| !t.contains_key("name"));
        if key == "interfaces"
            && let Some(entry) = entries.iter().find(named)
        {
            return Err(format!("{key}: {entry} has no name; write {example}"));
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
                    "{name} = {value}: {name} is a table; write [{name}] and its keys"
                ));
            }
            (_, toml::Value::String(default)) if !value.is_str() => {
                return Err(format!(
                    "{name} = {value}: must be a string, as in {name} = {default:?}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Names unknown keys, each with the closest known one.
pub(crate) fn describe_unknown(unknown: &[String], known: &toml::Table) -> String {
    let known = known_keys(known);
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

/// All known keys; those inside tables as `table.key`.
pub(crate) fn known_keys(known: &toml::Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, value) in known {
        if let toml::Value::Table(inner) = value {
            keys.extend(inner.keys().map(|name| format!("{key}.{name}")));
        }
        keys.push(key.clone());
    }
    keys
}
