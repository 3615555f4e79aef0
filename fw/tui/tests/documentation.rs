//! docs/console.md has all keys. `BAILEY_WRITE_DOCS=1` writes the table again.

use std::fs;
use std::path::Path;

use bailey_tui::update::TABLE;

const BEGIN: &str = "<!-- generated from the table of keys: begin -->\n";
const END: &str = "<!-- generated from the table of keys: end -->";

fn table() -> String {
    let mut text = "| keys | name | effect |\n| --- | --- | --- |\n".to_owned();
    for binding in TABLE {
        let keys: Vec<String> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
        let place = binding
            .view
            .map_or_else(String::new, |view| format!("in {}: ", view.names().1));
        let effect = match binding.help {
            "" => format!("the view {}", binding.name),
            help => help.replace('|', "\\|"),
        };
        text += &format!(
            "| {} | {} | {place}{effect} |\n",
            keys.join(" "),
            binding.name
        );
    }
    text
}

#[test]
fn console_page_has_all_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/console.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("BAILEY_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert_eq!(found, table(), "BAILEY_WRITE_DOCS=1 writes the table again");
}
