//! Keys and colours of the operator, from `$XDG_CONFIG_HOME/bailey/tui.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailey_config::nearest::nearest;
use ratatui::style::Color;
use serde::Deserialize;
use toml::Spanned;

use crate::look::Colours;
use crate::model::View;
use crate::model::keys::{ChosenKeys, Key};
use crate::update::{TABLE, bound_twice};

/// Keys and colours.
#[derive(Debug, Clone, Default)]
pub struct TuiSettings {
    /// The keys, by the names of their actions.
    pub keys: ChosenKeys,
    /// The colours.
    pub colours: Colours,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    keys: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    colours: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// The file; `None` without a home.
pub(crate) fn path() -> Option<PathBuf> {
    let config = crate::kept::folder("XDG_CONFIG_HOME")
        .or_else(|| Some(crate::kept::folder("HOME")?.join(".config")))?;
    Some(config.join("bailey/tui.toml"))
}

/// Reads a file; a missing one has the defaults.
///
/// # Errors
/// The mistake with file, line and column.
pub(crate) fn read(path: &Path) -> Result<TuiSettings, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(TuiSettings::default()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    parse(&text).map_err(|mistake| {
        let before = text.get(..mistake.at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        format!("{}:{line}:{column}: {}", path.display(), mistake.sentence)
    })
}

/// A mistake at a byte of the text.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    at: usize,
    sentence: String,
}

fn parse(text: &str) -> Result<TuiSettings, Mistake> {
    let document: Document = toml::from_str(text).map_err(|error| Mistake {
        at: error.span().map_or(0, |span| span.start),
        sentence: error.message().to_owned(),
    })?;
    Ok(TuiSettings {
        keys: keys(&document.keys)?,
        colours: colours(&document.colours)?,
    })
}

fn keys(given: &BTreeMap<Spanned<String>, Vec<Spanned<String>>>) -> Result<ChosenKeys, Mistake> {
    let mut chosen = ChosenKeys::new();
    for (name, keys) in given {
        let names: Vec<&str> = TABLE.iter().map(|binding| binding.name).collect();
        let Some(known) = names
            .iter()
            .find(|known| **known == name.get_ref().as_str())
        else {
            let near = nearest(name.get_ref(), &names);
            return Err(Mistake {
                at: name.span().start,
                sentence: format!(
                    "no action is named {:?}{near}; `bailey tui` shows the names with `?`",
                    name.get_ref()
                ),
            });
        };
        let mut own = Vec::new();
        for key in keys {
            let parsed = Key::named(key.get_ref()).ok_or_else(|| Mistake {
                at: key.span().start,
                sentence: format!(
                    "{:?} is no key; keys are single characters, C-x, space, enter, esc, tab, S-tab, up, down, \
                     PgUp, PgDn, home, end",
                    key.get_ref()
                ),
            })?;
            own.push(parsed);
        }
        chosen.insert(known, own);
    }
    // The later of two bindings, if it comes from the file, else the one of the file before it.
    if let Some((key, names, view)) = bound_twice(&chosen) {
        let place = view.map_or_else(String::new, |view: View| format!(" in {}", view.names().1));
        let mut spans = given
            .iter()
            .filter(|(name, _)| names.contains(&name.get_ref().as_str()));
        let at = spans.next_back().map_or(0, |(_, keys)| {
            let of_key = keys
                .iter()
                .find(|given| Key::named(given.get_ref()) == Some(key));
            of_key.map_or(0, |given| given.span().start)
        });
        return Err(Mistake {
            at,
            sentence: format!(
                "the key {key} is bound twice{place}: {} and {}",
                names[0], names[1]
            ),
        });
    }
    Ok(chosen)
}

fn colours(given: &BTreeMap<Spanned<String>, Spanned<String>>) -> Result<Colours, Mistake> {
    let mut colours = Colours::default();
    for (name, colour) in given {
        let field = match name.get_ref().as_str() {
            "good" => &mut colours.good,
            "bad" => &mut colours.bad,
            "warning" => &mut colours.warning,
            "faint" => &mut colours.faint,
            other => {
                return Err(Mistake {
                    at: name.span().start,
                    sentence: format!(
                        "no colour is named {other:?}: there are good, bad, warning and faint"
                    ),
                });
            }
        };
        *field = sixteen(colour.get_ref()).ok_or_else(|| Mistake {
            at: colour.span().start,
            sentence: format!(
                "{:?} is none of the terminal's 16 colours, such as \"red\", \"light-red\" or \"default\"",
                colour.get_ref()
            ),
        })?;
    }
    Ok(colours)
}

/// One of the terminal's own colours.
fn sixteen(name: &str) -> Option<Color> {
    Some(match name {
        "default" => Color::Reset,
        "black" => Color::Black,
        "red" => Color::Red,
        "green" => Color::Green,
        "yellow" => Color::Yellow,
        "blue" => Color::Blue,
        "magenta" => Color::Magenta,
        "cyan" => Color::Cyan,
        "gray" => Color::Gray,
        "dark-gray" => Color::DarkGray,
        "light-red" => Color::LightRed,
        "light-green" => Color::LightGreen,
        "light-yellow" => Color::LightYellow,
        "light-blue" => Color::LightBlue,
        "light-magenta" => Color::LightMagenta,
        "light-cyan" => Color::LightCyan,
        "white" => Color::White,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Action;
    use crate::update::action_of_key;

    #[test]
    fn keys_and_colours_are_replaced() {
        let text =
            "[keys]\nquit = [\"C-q\", \"X\"]\nfreeze = [\"p\"]\n[colours]\ngood = \"blue\"\n";
        let settings = parse(text).unwrap();
        let action_of = |key| action_of_key(&settings.keys, View::Rules, key);
        assert_eq!(action_of(Key::Ctrl('q')), Some(Action::Quit));
        assert_eq!(action_of(Key::Char('p')), Some(Action::Freeze));
        assert_eq!(action_of(Key::Char('q')), None);
        assert_eq!(settings.colours.good, Color::Blue);
        assert_eq!(settings.colours.bad, Color::Red);
        assert!(parse("").unwrap().keys.is_empty());
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, at, sentence) in [
            ("[keys]\nquitt = [\"q\"]", 7, "did you mean `quit`"),
            ("[keys]\nquit = [\"qq\"]", 15, "\"qq\" is no key"),
            ("[keys]\nquit = [\"j\"]", 15, "j is bound twice"),
            ("[keys]\nquit = [\"v\"]", 15, "v is bound twice in Talkers"),
            (
                "[colours]\ngood = \"pink\"",
                17,
                "none of the terminal's 16 colours",
            ),
            ("[colours]\nbest = \"red\"", 10, "no colour is named"),
            ("[keys]\nquit = [", 15, ""),
            ("[kees]", 1, "unknown field"),
        ] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.at, at, "{text}: {mistake:?}");
            assert!(mistake.sentence.contains(sentence), "{text}: {mistake:?}");
        }
    }
}
