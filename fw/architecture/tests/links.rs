//! Links between pages lead to files that exist.

use bailey_architecture::files;

/// Targets of the links in a line of Markdown, without those that leave the project.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let links = line.split("](").skip(1);
    let targets = links.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://") && !target.starts_with(['#', '<']))
}

#[test]
fn relative_links_lead_to_files() {
    let (mut found, mut checked) = (Vec::new(), 0);
    for page in files::pages() {
        let folder = page.parent().unwrap_or(&page).to_owned();
        for (number, line) in files::text(&page).lines().enumerate() {
            for target in targets(line) {
                checked += 1;
                let path = target.split('#').next().unwrap_or_default();
                if !folder.join(path).exists() {
                    let page = files::relative(&page);
                    found.push(format!("{page}:{}: {target}", number + 1));
                }
            }
        }
    }
    assert!(checked > 100, "only {checked} links were found");
    assert!(found.is_empty(), "dead links:\n{}", found.join("\n"));
}

#[test]
fn targets_are_found_in_lines() {
    let line = "see [a](a.md), [b](../b.md#part) and [c](https://c.example)";
    let found: Vec<&str> = targets(line).collect();
    assert_eq!(found, ["a.md", "../b.md#part"]);
}
