//! Filter, order, columns and selection of each view, kept between two consoles in
//! `$XDG_STATE_HOME/bailey/tui.json`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::model::{Model, View, orders};

/// The part of a list that is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct KeptList {
    filter: String,
    sort: usize,
    is_reversed: bool,
    columns: usize,
    selected: Option<String>,
}

/// The lists by the name of their view.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Kept(std::collections::BTreeMap<String, KeptList>);

/// The file; `None` without a home.
pub(crate) fn path() -> Option<PathBuf> {
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("bailey/tui.json"))
}

/// The folder that a variable names.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(name).map(PathBuf::from);
    folder.filter(|path| path.is_absolute())
}

/// Sets the lists as they were. A missing file changes nothing.
///
/// # Errors
/// Why the file is of no use, in a sentence.
pub(crate) fn restore(path: &Path, model: &mut Model) -> Result<(), String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let kept: Kept = serde_json::from_str(&text)
        .map_err(|error| format!("{}: {error}; filters begin anew", path.display()))?;
    for view in View::ALL {
        let Some(kept) = kept.0.get(view.names().1) else {
            continue;
        };
        let columns = orders::names(view).len();
        let list = &mut model.lists[view.index()];
        // Of another version: what is unknown here is left out.
        list.filter = Filter::parse(&kept.filter).unwrap_or_default();
        list.sort = if kept.sort < columns { kept.sort } else { 0 };
        list.is_reversed = kept.is_reversed;
        list.columns = kept.columns % orders::COLUMN_CHOICES;
        list.selected.clone_from(&kept.selected);
    }
    Ok(())
}

/// Writes the lists; the file is whole at any time.
pub(crate) fn keep(path: &Path, model: &Model) -> io::Result<()> {
    let lists = View::ALL.map(|view| {
        let list = &model.lists[view.index()];
        let kept = KeptList {
            filter: list.filter.source().to_owned(),
            sort: list.sort,
            is_reversed: list.is_reversed,
            columns: list.columns,
            selected: list.selected.clone(),
        };
        (view.names().1.to_owned(), kept)
    });
    let text = serde_json::to_string_pretty(&Kept(lists.into()))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension("json.new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_return_and_mistakes_do_not() {
        let folder = std::env::temp_dir().join(format!("bailey-tui-{}", std::process::id()));
        let path = folder.join("bailey/tui.json");
        let mut model = Model::default();
        assert_eq!(restore(&path, &mut model), Ok(()));
        let list = &mut model.lists[View::Rules.index()];
        list.filter = Filter::parse("policy:shop/ hits:>1k").unwrap();
        (list.sort, list.is_reversed, list.columns) = (3, true, 1);
        keep(&path, &model).unwrap();

        let mut other = Model::default();
        restore(&path, &mut other).unwrap();
        let list = &other.lists[View::Rules.index()];
        assert_eq!(list.filter.source(), "policy:shop/ hits:>1k");
        assert_eq!((list.sort, list.is_reversed, list.columns), (3, true, 1));

        fs::write(
            &path,
            r#"{"Rules": {"filter": "polcy:x", "sort": 99, "columns": 7}}"#,
        )
        .unwrap();
        restore(&path, &mut other).unwrap();
        let list = &other.lists[View::Rules.index()];
        assert_eq!((list.filter.source(), list.sort), ("", 0));
        fs::write(&path, "{").unwrap();
        let problem = restore(&path, &mut other).unwrap_err();
        assert!(problem.contains("line 1 column 1"), "{problem}");
        fs::remove_dir_all(folder).unwrap();
    }
}
